// The counters wrap WebGPU before anything uses it.
import './counters.ts';
import { Gpu } from '../../gpu-shaders/index.ts';
import { Encoder } from './engine.ts';
import { WARM } from './measure.ts';
import type { Spec } from './model.ts';

export interface GrowthArguments {
  specs: Spec[];
  /** Timed steps of each, after the warm-up. */
  steps: number;
}

/** Milliseconds of each spec's steps, every row computed. */
async function bench({ specs, steps }: GrowthArguments): Promise<number[][]> {
  const gpu = await Gpu.open(navigator.gpu);
  const all: number[][] = [];
  await takeTurn();
  for (const spec of specs) {
    const encoder = new Encoder(gpu, spec, { narrow: false, cached: false });
    const times: number[] = [];
    for (let t = 1; t <= WARM + steps; t++) {
      const from = performance.now();
      await encoder.step(t);
      if (t > WARM) times.push(performance.now() - from);
    }
    await encoder.destroy();
    all.push(times);
  }
  return all;
}

Object.assign(globalThis, { bench });
