import {
  type Copy,
  compile,
  type Gpu,
  matmul,
  type Program,
  parameter,
  State,
} from '../../gpu-shaders/index.ts';
import type { KernelTime } from '../protocol.ts';

/** Profiles of a step, of which each dispatch's best counts. */
const ROUNDS = 3;
/** Rows, depth and columns of the products that a device is measured by; the second where the first is too short. */
const PRODUCTS = [
  [1024, 512, 512],
  [4096, 1024, 2048],
] as const;
/** Milliseconds from which on a time is worth something: browsers round timestamps to 0.1 ms. */
const LONG_ENOUGH = 2;

/** The device counts no time. */
export class NoTimestampsError extends Error {
  override name = 'NoTimestampsError';
  readonly advice =
    'Timestamps are off on this device or in this browser. In Chrome, chrome://flags, "WebGPU Developer Features" may turn them on.';
}

/**
 * Times every dispatch of a program, by kernel name, the longest first. `copies` go before it, as in a run. Null where
 * the device counts no time.
 */
export async function kernelTimes(
  program: Program,
  copies: readonly Copy[] = [],
): Promise<KernelTime[] | null> {
  const first = await program.profile(copies);
  if (!first) return null;
  const rounds = [first];
  while (rounds.length < ROUNDS) rounds.push((await program.profile())!);
  const kinds = new Map<string, KernelTime>();
  first.forEach(({ label, flops, bytes }, i) => {
    const kind = kinds.get(label) ?? { label, count: 0, ms: 0, flops: 0, bytes: 0 };
    kind.count++;
    kind.ms += Math.min(...rounds.map((r) => r[i].nanoseconds)) / 1e6;
    kind.flops += flops;
    kind.bytes += bytes;
    kinds.set(label, kind);
  });
  return [...kinds.values()].sort((a, b) => b.ms - a.ms);
}

const rates = new WeakMap<Gpu, Promise<number>>();

/** Operations a second that a plain product reaches on a device with timestamps; measured once. */
export function productRate(gpu: Gpu): Promise<number> {
  let rate = rates.get(gpu);
  if (!rate) {
    rate = measure(gpu);
    rates.set(gpu, rate);
  }
  return rate;
}

async function measure(gpu: Gpu): Promise<number> {
  let best = 0;
  for (const [m, k, n] of PRODUCTS) {
    const state = new State(gpu, []);
    const wave = (count: number, step: number) =>
      Float32Array.from({ length: count }, (_, i) => Math.sin(i * step));
    state.setFrozen('a', wave(m * k, 0.37));
    state.setFrozen('b', wave(n * k, 0.61));
    const y = matmul(parameter('a', [m, k]), parameter('b', [n, k]), { tb: true });
    const program = await compile(state, { label: 'product', outputs: { y } });
    const kernels = (await kernelTimes(program)) ?? [];
    program.destroy();
    state.destroy();
    const ms = kernels.reduce((sum, kernel) => sum + kernel.ms, 0);
    best = Math.max(best, (2 * m * k * n * 1000) / Math.max(ms, 0.01));
    if (ms >= LONG_ENOUGH) break;
  }
  return best;
}
