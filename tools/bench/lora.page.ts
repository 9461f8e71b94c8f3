// The counters wrap WebGPU before anything uses it.
import './counters.ts';
import { Gpu } from '../../gpu-shaders/index.ts';
import { Encoder, type Variant } from './engine.ts';
import { type Measured, run } from './measure.ts';
import type { Spec } from './model.ts';

export interface PageArguments {
  spec: Spec;
  steps: number;
  variant: Variant;
  /** `prefix`: what is cached, computed anew, in the place of the steps. */
  part: 'step' | 'prefix';
  profile: boolean;
}

/** Our side of a contest. */
async function bench({ spec, steps, variant, part, profile }: PageArguments): Promise<Measured> {
  const gpu = await Gpu.open(navigator.gpu);
  let made: Encoder | undefined;
  const encoder = () => {
    made ??= new Encoder(gpu, spec, variant);
    return made;
  };
  if (part === 'prefix') {
    const measured = await run({ forward: () => encoder().prefix() }, 0, steps);
    return { ...measured, values: [...(await encoder().prefixValues()).slice(0, 256)] };
  }
  const measured = await run({ step: (t) => encoder().step(t), forward: () => encoder().forward() }, steps);
  const kernels = profile ? await encoder().kernels() : null;
  return {
    ...measured,
    flops: await encoder().flops(),
    plannedBytes: await encoder().plannedBytes(),
    plannedSubmits: await encoder().plannedSubmits(),
    encodeMs: await encoder().encodeMs(),
    ...(kernels ? { kernels } : {}),
  };
}

Object.assign(globalThis, { bench });
