import { toPeft } from '../../models/exports/peft.ts';
import { truncate } from '../../models/methods/math/lowRank.ts';
import { type LowRankUpdate, MethodError, type Tensors } from '../../models/methods/method.ts';
import type { RankCut } from '../protocol.ts';
import type { TrainedState } from './checkpoint.ts';
import { score } from './metrics.ts';
import type { Session } from './session.ts';

type Cuttable = Pick<Session, 'attachment' | 'evaluate' | 'samplesOf' | 'trained'> & {
  readonly state: Pick<TrainedState, 'writeTensors'>;
  readonly options: Pick<Session['options'], 'method' | 'model' | 'settings'>;
};

/** The updates with those named cut to at most the rank given, each still as wide as it was. */
function cutUpdates(
  updates: readonly LowRankUpdate[],
  ranks: Readonly<Record<string, number>>,
): LowRankUpdate[] {
  return updates.map((u) => {
    const width = u.a.shape[0];
    const rank = ranks[u.path] ?? width;
    return rank < width ? truncate(u, rank, width) : u;
  });
}

/**
 * Does `work` while the adapter stands cut to lower ranks (the nearest updates of those ranks), and puts it back. The
 * program stays as it is: what is cut away is zero. Throws `MethodError` where the method's update has no ranks to cut.
 */
export async function withRanks<T>(
  session: Cuttable,
  ranks: Readonly<Record<string, number>>,
  work: (updates: LowRankUpdate[]) => Promise<T>,
): Promise<T> {
  const { method, settings } = session.options;
  if (!method.toLowRank || !method.fromLowRank)
    throw new MethodError(`${method.card.title} has no ranks that could be cut after training.`);
  const before = await session.trained();
  const updates = cutUpdates(method.toLowRank(session.attachment, settings, before), ranks);
  const { tensors } = method.fromLowRank(updates);
  session.state.writeTensors(valuesOf(tensors));
  try {
    return await work(updates);
  } finally {
    session.state.writeTensors(valuesOf(before));
  }
}

/** What an adapter would be at these ranks: its score on the test pictures (else validation), its size, what is kept. */
export async function previewCut(
  session: Cuttable,
  knobs: Record<string, number>,
  ranks: Readonly<Record<string, number>>,
): Promise<RankCut> {
  const { method, settings, model } = session.options;
  const trained = await session.trained();
  const whole = method.toLowRank?.(session.attachment, settings, trained) ?? [];
  return withRanks(session, ranks, async (updates) => {
    const split = session.samplesOf('test').length ? 'test' : 'val';
    const samples = session.samplesOf(split);
    const found = samples.length ? await session.evaluate(samples, knobs) : null;
    const saved: Tensors = new Map([...trained].filter(([name]) => model.isHead(name)));
    const narrow = updates.map((u) => truncate(u, ranks[u.path] ?? u.a.shape[0]));
    return {
      ranks: { ...ranks },
      split,
      score: found && score(found.hits, found.of),
      fileBytes: toPeft({ updates: narrow, saved }).weights.length,
      energy: energyOf(updates) / (energyOf(whole) || 1),
    };
  });
}

/** Sum of the squared singular values of all updates. */
function energyOf(updates: readonly LowRankUpdate[]): number {
  return updates.reduce((sum, u) => sum + frobenius(u), 0);
}

/** |scale · b a|², from the factors' Gram matrices. */
function frobenius({ a, b, scale }: LowRankUpdate): number {
  const r = a.shape[0];
  const width = a.data.length / r;
  const rows = b.data.length / r;
  let sum = 0;
  for (let i = 0; i < r; i++)
    for (let j = 0; j < r; j++) {
      let [x, y] = [0, 0];
      for (let k = 0; k < width; k++) x += a.data[i * width + k] * a.data[j * width + k];
      for (let k = 0; k < rows; k++) y += b.data[k * r + i] * b.data[k * r + j];
      sum += x * y;
    }
  return scale * scale * sum;
}

function valuesOf(tensors: Tensors): Map<string, Float32Array> {
  return new Map([...tensors].map(([name, { data }]) => [name, data]));
}
