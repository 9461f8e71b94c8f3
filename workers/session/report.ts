import type { ClassReport, Score } from '../protocol.ts';
import { argmax, classReports, confusionOf, score, softmax } from './metrics.ts';
import { probeHits } from './probe.ts';
import type { Session, SessionOptions } from './session.ts';

/** A finished run's scores on one split. */
export interface RunReport {
  split: 'val' | 'test';
  score: Score;
  /** The tuned linear probe on the same frozen features and samples; null where every token is answered. */
  baseScore: Score | null;
  /** Mean loss of a token that counts, and the same of the adapter as it began; where every token is answered. */
  losses?: { loss: number; start: number };
  confusion: number[][];
  classes: ClassReport[];
  /** Samples taken for the wrong class, the surest first. */
  mistakes: { sample: number; actual: number; predicted: number; confidence: number }[];
}

/** What a report is made from. */
export type Scored = Pick<
  Session,
  'samplesOf' | 'logits' | 'probe' | 'labelled' | 'evaluate' | 'answersTokens' | 'atStart'
> & {
  readonly options: Pick<SessionOptions, 'dataset'>;
};

/** Mistakes that a report lists. */
const MISTAKES = 24;

/**
 * Scores the current trained values on the test split, or on validation where there is no test split. Null when
 * there is neither.
 */
export async function reportOf(session: Scored, knobs: Record<string, number>): Promise<RunReport | null> {
  const split = session.samplesOf('test').length ? 'test' : 'val';
  const samples = session.samplesOf(split);
  if (!samples.length) return null;
  if (session.answersTokens) return tokenReport(session, split, knobs);
  const { classes: names, samples: all } = session.options.dataset;
  const logits = await session.logits(samples, knobs);
  const labels = samples.map((i) => all[i].label);
  const predicted = logits.map(argmax);
  const confusion = confusionOf(labels, predicted, names.length);
  const mistakes = samples
    .map((sample, i) => ({
      sample,
      actual: labels[i],
      predicted: predicted[i],
      confidence: softmax(logits[i])[predicted[i]],
    }))
    .filter((m) => m.actual !== m.predicted)
    .sort((a, b) => b.confidence - a.confidence)
    .slice(0, MISTAKES);
  return {
    split,
    score: score(labels.filter((l, i) => l === predicted[i]).length, samples.length),
    baseScore: score(probeHits(session.probe(), session.labelled(split)), samples.length),
    confusion,
    classes: classReports(names, confusion),
    mistakes,
  };
}

/** Scores every token that counts, beside the adapter as it began: for most methods that is the frozen model. */
async function tokenReport(
  session: Scored,
  split: RunReport['split'],
  knobs: Record<string, number>,
): Promise<RunReport> {
  const samples = session.samplesOf(split);
  const { loss, hits, of } = await session.evaluate(samples, knobs);
  const start = await session.atStart(() => session.evaluate(samples, knobs));
  return {
    split,
    score: score(hits, of),
    baseScore: null,
    losses: { loss, start: start.loss },
    confusion: [],
    classes: [],
    mistakes: [],
  };
}
