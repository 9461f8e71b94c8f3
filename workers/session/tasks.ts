import { MethodError } from '../../models/methods/method.ts';
import { taskOf } from '../../models/methods/vlAdapter.ts';
import type { Session } from './session.ts';

/** What an adapter is on one of its tasks. */
export interface TaskScore {
  /** As the knob `task` counts: from 1. */
  task: number;
  samples: number;
  hits: number;
}

type Tasked = Pick<Session, 'attachment' | 'logits'> & {
  readonly options: Pick<Session['options'], 'settings' | 'dataset'>;
};

/**
 * Scores each task on its own samples, the task being told: its adapters answer, and only its classes are in question.
 * Throws `MethodError` for a method without tasks.
 */
export async function taskScores(
  session: Tasked,
  samples: readonly number[],
  knobs: Record<string, number>,
): Promise<TaskScore[]> {
  if (!session.attachment.knobs.some((k) => k.name === 'task'))
    throw new MethodError('This method knows no tasks. Train with VL-Adapter to score each on its own.');
  const tasks = session.options.settings.tasks as number;
  const { dataset } = session.options;
  const scores: TaskScore[] = [];
  for (let task = 0; task < tasks; task++) {
    const own = samples.filter((s) => taskOf(dataset.samples[s].label, tasks) === task);
    const logits = await session.logits(own, { ...knobs, task: task + 1 });
    const hits = own.filter((s, i) => bestOf(logits[i], task, tasks) === dataset.samples[s].label).length;
    scores.push({ task: task + 1, samples: own.length, hits });
  }
  return scores;
}

/** The class of the task with the largest logit. */
function bestOf(logits: Float32Array, task: number, tasks: number): number {
  let best = task;
  for (let c = task; c < logits.length; c += tasks) if (logits[c] > logits[best]) best = c;
  return best;
}
