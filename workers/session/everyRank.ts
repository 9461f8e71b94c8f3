import { MethodError } from '../../models/methods/method.ts';
import type { Session } from './session.ts';

/** What an adapter is at one of its ranks. */
export interface RankPoint {
  rank: number;
  loss: number;
  /** Share of the samples that it gets right. */
  accuracy: number;
}

type Ranked = Pick<Session, 'attachment' | 'evaluate'> & {
  readonly options: Pick<Session['options'], 'settings'>;
};

/**
 * Evaluates an adapter at every rank it was trained for, lowest first, by its knob `rank`: nothing is trained, compiled
 * or written. Throws `MethodError` for a method whose rank is no knob.
 */
export async function accuracyAtEveryRank(
  session: Ranked,
  samples: readonly number[],
  knobs: Record<string, number>,
): Promise<RankPoint[]> {
  if (!session.attachment.knobs.some((k) => k.name === 'rank'))
    throw new MethodError('This method is of one rank. Train with DyLoRA to choose the rank afterwards.');
  const points: RankPoint[] = [];
  for (let rank = 1; rank <= (session.options.settings.r as number); rank++) {
    const { loss, hits, of } = await session.evaluate(samples, { ...knobs, rank });
    points.push({ rank, loss, accuracy: hits / Math.max(1, of) });
  }
  return points;
}
