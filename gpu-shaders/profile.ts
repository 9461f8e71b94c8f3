import type { Gpu } from './device.ts';
import type { Dispatch } from './program.ts';

/** GPU time of one dispatch. */
export interface Timed {
  label: string;
  nanoseconds: number;
  flops: number;
  /** What it binds, each binding once. */
  bytes: number;
}

/** Timestamps that one query set holds. */
const PER_SET = 4096;

/**
 * Runs dispatches one to a pass, with a timestamp before and after each, and returns their times in nanoseconds; null
 * where the device counts none. Passes keep the GPU from overlapping kernels, and browsers round timestamps (to
 * 0.1 ms in Chromium), so the sum is a little above a step's own time and short kernels are coarse.
 */
export async function timeDispatches(gpu: Gpu, dispatches: readonly Dispatch[]): Promise<number[] | null> {
  if (!gpu.info.features.includes('timestamp-query')) return null;
  const times: number[] = [];
  for (let from = 0; from < dispatches.length; from += PER_SET / 2)
    times.push(...(await timePart(gpu, dispatches.slice(from, from + PER_SET / 2))));
  return times;
}

async function timePart(gpu: Gpu, dispatches: readonly Dispatch[]): Promise<number[]> {
  const count = 2 * dispatches.length;
  const querySet = gpu.device.createQuerySet({ type: 'timestamp', count });
  const resolved = gpu.device.createBuffer({
    size: 8 * count,
    usage: 0x200 | 0x4 /* QUERY_RESOLVE | COPY_SRC */,
  });
  for (const [i, d] of dispatches.entries()) {
    // A submission each, so that a software adapter's driver stays responsive.
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
    });
    pass.setPipeline(d.pipeline);
    pass.setBindGroup(0, d.group);
    pass.dispatchWorkgroups(...d.grid);
    pass.end();
    gpu.device.queue.submit([encoder.finish()]);
  }
  const encoder = gpu.device.createCommandEncoder();
  encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
  gpu.device.queue.submit([encoder.finish()]);
  const stamps = new BigUint64Array(await gpu.read(resolved));
  querySet.destroy();
  resolved.destroy();
  return dispatches.map((_, i) => Number(stamps[2 * i + 1] - stamps[2 * i]));
}
