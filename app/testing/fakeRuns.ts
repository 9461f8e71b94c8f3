import type * as P from '../../workers/protocol.ts';

/** Runs on one data set that a comparison is worth: by id, what was turned, and what share of the test they reach. */
export const compared: {
  id: string;
  name: string;
  turned: Record<string, number>;
  method?: string;
  reached: number;
}[] = [
  { id: 'c1', name: 'Linear probe on Fashion', turned: {}, method: 'linear-probe', reached: 0.793 },
  { id: 'c2', name: 'LoRA r2 on Fashion', turned: { r: 2, lora_alpha: 4 }, reached: 0.847 },
  { id: 'c3', name: 'LoRA r4 on Fashion', turned: { r: 4, lora_alpha: 8 }, reached: 0.887 },
  { id: 'c4', name: 'LoRA r8 on Fashion', turned: { r: 8 }, reached: 0.913 },
  { id: 'c5', name: 'LoRA r8, small pictures', turned: { r: 8, image_size: 128 }, reached: 0.84 },
  { id: 'c6', name: 'LoRA r32 on Fashion', turned: { r: 32, lora_alpha: 64 }, reached: 0.9 },
];

/** Runs that wait, in their order. */
export const waiting: { id: string; name: string; turned: Record<string, number> }[] = [
  { id: 'q1', name: 'LoRA r16 on Fashion', turned: { r: 16 } },
  { id: 'q2', name: 'LoRA r16 on Fashion', turned: { r: 16, lr: 0.005 } },
  { id: 'q3', name: 'LoRA r4 on Fashion', turned: { r: 4, epochs: 10 } },
];

/** Share of the test that a run ends at. */
export const reachedOf = (id: string): number =>
  compared.find((run) => run.id === id)?.reached ?? (id === 'r0' ? 0.82 : 0.905);

/** The runs that wait, the next one first. */
export const queueOf = (runs: Iterable<P.RunView>): P.RunView[] =>
  [...runs].filter((run) => run.state === 'queued').sort((a, b) => a.place! - b.place!);
