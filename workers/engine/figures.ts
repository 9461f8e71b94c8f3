import type { Estimate, RunFigures } from '../protocol.ts';
import { adapterBytes } from '../session/adapter.ts';
import type { Progress } from '../session/checkpoint.ts';
import { extraUse } from '../session/costOfUse.ts';
import { costsOf } from '../session/programs.ts';
import { memoryOf, rowsOf } from './estimate.ts';
import type { RunSession, Trainer } from './trainer.ts';

/** What a run will cost, before its first step. */
export function plannedFigures(
  estimate: Estimate,
  backend: Trainer['backend'],
  extraUse: number,
): RunFigures {
  return {
    trainableParameters: estimate.trainableParameters,
    peakBytes: backend === 'webgpu' ? estimate.memory.total : null,
    fileBytes: estimate.fileBytes,
    stepMs: null,
    extraUse,
  };
}

/** What it cost, from the session that trained it: the plan's memory with its own batch, the file's very bytes. */
export async function trainedFigures(
  session: RunSession,
  progress: Progress,
  { backend, limits }: Pick<Trainer, 'backend' | 'limits'>,
  baseModel: string,
): Promise<RunFigures> {
  const costs = costsOf(session.shape, limits.maxBindingBytes);
  const count = (split: 'train' | 'val' | 'test') => session.samplesOf(split).length;
  const rows = rowsOf(session.shape.settings, {
    train: count('train'),
    val: count('val'),
    test: count('test'),
  });
  return {
    trainableParameters: costs.trainable,
    peakBytes: backend === 'webgpu' ? memoryOf(costs, rows).total : null,
    fileBytes: await adapterBytes(session, baseModel, progress),
    stepMs: median(progress.steps.map(({ ms }) => ms)),
    extraUse: extraUse(session.options.method, session.shape, limits.maxBindingBytes),
  };
}

/** The upper median; null of none. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
