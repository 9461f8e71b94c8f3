import type * as P from '../../workers/protocol.ts';
import { wilson } from './fakeData.ts';
import { reachedOf } from './fakeRuns.ts';

/** What an adapter adds to every use: nothing where it can be merged away. */
export const extraUseOf = (method: string): number => (method === 'adaptformer' ? 0.031 : 0);

/** Adapters that get in each other's way the more the further their weights are from one adapter alone. */
export function mergeOf(parts: { run: P.RunView; weight: number }[], rank: number | null): P.MergePreview {
  const total = parts.reduce((sum, p) => sum + Math.abs(p.weight), 0) || 1;
  const ranks = parts.map(({ run }) => Number(run.plan.settings['r'] ?? 0));
  const width = ranks.reduce((a, b) => a + b, 0);
  const energy = rank === null || rank >= width ? 1 : 1 - Math.exp(-rank / 3);
  const n = 150;
  return {
    form: 'low-rank',
    onlyMerged: null,
    classes: [...new Set(parts.flatMap(({ run }) => run.classes))],
    width: rank === null ? width : Math.min(rank, width),
    energy,
    overlap: null,
    fileBytes: 60_000 + 9000 * (rank === null ? width : Math.min(rank, width)),
    scores: parts
      .filter(({ run }) => run.state !== 'imported')
      .map(({ run, weight }) => {
        const alone = reachedOf(run.id);
        const own = alone - (1 - Math.abs(weight) / total) * 0.06 - (1 - energy) * 0.2;
        const of = (share: number) => wilson(Math.round(n * Math.max(0.1, share)), n);
        return { run: run.id, split: 'test' as const, alone: of(alone), own: of(own), all: of(own) };
      }),
  };
}
