import type { KernelTime } from '../../workers/protocol.ts';
import { type Counted, gpu, since, snapshot } from './counters.ts';

/** What a page hands back. Milliseconds are of wall clock. */
export interface Measured {
  losses: number[];
  /** Each step's time, the first (tracing, compiling) among them. */
  steps: number[];
  forwards: number[];
  /** What the last step asked of WebGPU. */
  perStep: Record<Counted, number>;
  /** Buffers, bind groups and pipelines made in step 3 and later, all together. */
  madeLate: number;
  /** Most bytes that GPU buffers held at once while training. */
  peakBytes: number;
  /** Ours alone: operations by the compiler's count, bytes by its plan. */
  flops?: { step: number; prefix: number };
  plannedBytes?: number;
  plannedSubmits?: number;
  /** What the last step's run cost the page's thread: writing inputs, encoding, submitting. */
  encodeMs?: number;
  /** The first values that a forward pass gave, to hold engines against each other. */
  values?: number[];
  /** A step's time on the GPU by kernel, where it was asked for. */
  kernels?: KernelTime[];
}

export interface Engine {
  /** Steps 1, 2, …: the loss, once it is read back and the updated adapters are ready on the device. */
  step?(t: number): Promise<number>;
  /** The logits of the batch, read back. */
  forward?(): Promise<unknown>;
}

declare global {
  /** Given by the driver: resolves when nobody else in the run is working. A page's turn lasts until it asks again. */
  var takeTurn: () => Promise<void>;
}

/** Steps that warm an engine up; they are not timed. */
export const WARM = 2;

/** Runs an engine's steps and forward passes, taking turns with the other engines of the run. */
export async function run(engine: Engine, steps: number, forwards = 3): Promise<Measured> {
  const result: Measured = {
    losses: [],
    steps: [],
    forwards: [],
    perStep: since(gpu),
    madeLate: 0,
    peakBytes: 0,
  };
  for (let t = 1; engine.step && t <= steps; t++) {
    await takeTurn();
    const before = snapshot();
    const from = performance.now();
    result.losses.push(await engine.step(t));
    result.steps.push(performance.now() - from);
    result.perStep = since(before);
    const { buffers, groups, pipelines } = result.perStep;
    if (t > WARM) result.madeLate += buffers + groups + pipelines;
  }
  result.peakBytes = gpu.peak;
  for (let i = 0; engine.forward && i < forwards; i++) {
    await takeTurn();
    const from = performance.now();
    await engine.forward();
    result.forwards.push(performance.now() - from);
  }
  return result;
}

/** The name under which the peers' pages ask for it. */
export const measure = (_peer: string, _spec: unknown, { steps, ...engine }: Engine & { steps: number }) =>
  run(engine, steps);
