import type { Program, Timed } from '../../gpu-shaders/index.ts';

/** GPU time of one kind of kernel in a step. */
export interface KernelTime {
  label: string;
  count: number;
  ms: number;
  flops: number;
}

/** Profiles of a step, of which each dispatch's best counts. */
const ROUNDS = 3;

/** A step's time by kernel, the longest first; undefined where the device counts no time. */
export async function kernelTimes(program: Program): Promise<KernelTime[] | undefined> {
  const rounds: (Timed[] | null)[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await program.profile());
  const [first] = rounds;
  if (!first) return undefined;
  const kinds = new Map<string, KernelTime>();
  first.forEach(({ label, flops }, i) => {
    const kind = kinds.get(label) ?? { label, count: 0, ms: 0, flops: 0 };
    kind.count++;
    kind.ms += Math.min(...rounds.map((r) => r![i].nanoseconds)) / 1e6;
    kind.flops += flops;
    kinds.set(label, kind);
  });
  return [...kinds.values()].sort((a, b) => b.ms - a.ms);
}
