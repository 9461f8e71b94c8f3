import type { Spec } from '../model.ts';

/** One machine's GPU: ours under Dawn beside PyTorch with PEFT, on the same card in one run. */
export interface GpuResult {
  /** As Dawn and as PyTorch name the device; where they differ, the two sides did not run on the same card. */
  adapter: string;
  torch_device: string;
  torch: string;
  toggles: string[];
  steps: {
    workload: string;
    spec: Spec;
    /** Milliseconds a step, many steps being under way at once. */
    ours: { every_row: number; unread_left_out: number; half: number };
    peft: { f32: number; amp: number | null };
    /** Largest relative difference of the first losses, f32. */
    apart: number;
  }[];
  /** Ten epochs, adapters in the last third of the blocks; PEFT computes the frozen prefix in each. */
  epochs: {
    workload: string;
    spec: Spec;
    batches: number;
    epochs: number;
    ours_seconds: { prefix: number; all: number };
    peft_seconds: number;
  }[];
}
