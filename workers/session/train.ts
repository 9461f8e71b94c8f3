import { control as controlField } from '../../gpu-shaders/train/optimiser.ts';
import type { Settings } from '../../models/describe.ts';
import type { EvalPoint, Split, StepPoint } from '../protocol.ts';
import { type Checkpoints, IN_FLIGHT, type Progress, type TrainedState } from './checkpoint.ts';
import { Order } from './order.ts';
import { StorageFullError } from './ports.ts';

/** What the outside may ask of a running training; read between steps. */
export interface TrainControl {
  wish: 'run' | 'pause' | 'stop';
  /** Knobs turned since the last step. */
  turns: { knob: string; value: number }[];
  /** Work to do between two steps, each once. It leaves the run's numbers as they are, or says that it changed them. */
  asides?: ((progress: Progress) => Promise<'changed' | undefined>)[];
  /** Milliseconds, for step times and checkpoints. */
  now(): number;
}

export interface TrainEvents {
  step(point: StepPoint, done: number, total: number): void;
  evaluated(points: EvalPoint[], best: { step: number; accuracy: number } | null): void;
  /** Something the person should know, in a sentence. */
  notice(message: string): void;
}

export interface TrainOutcome {
  state: 'done' | 'paused' | 'stopped';
  progress: Progress;
}

/** What the loop trains: a session on a GPU, or one without. */
export interface Trainee {
  readonly options: { readonly settings: Settings };
  readonly steps: number;
  readonly state: TrainedState;
  readonly checkpoints: Checkpoints;
  /** Figures of the oldest step not yet collected. */
  training(): Promise<{
    collect(names: ('loss' | 'hits' | 'control')[]): Promise<Record<string, Float32Array>>;
  }>;
  samplesOf(split: Split): number[];
  step(step: number, order: Order, progress: Progress): Promise<{ lr: number }>;
  /** Whether the method acts after so many steps, and its acting; absent where no method ever does. */
  refreshDue?(step: number): boolean;
  refresh?(order: Order, progress: Progress): Promise<void>;
  evaluate(
    samples: readonly number[],
    knobs: Record<string, number>,
  ): Promise<{ loss: number; hits: number; of: number }>;
}

/** Milliseconds between checkpoints. They change no number of the run. */
const CHECKPOINT_MS = 15_000;
/** Checks without improvement after which early stopping ends the run. */
const PATIENCE = 5;

interface Pending {
  step: number;
  lr: number;
  figures: Promise<Record<'loss' | 'hits' | 'control', Float32Array>>;
}

/**
 * The training loop. A step is submitted, its figures come two steps later; validation and checkpoints wait for
 * what is in flight. Everything a step depends on is a function of its number and of `progress`, so a run that was
 * cut off goes on with the same bits.
 */
export async function train(
  session: Trainee,
  progress: Progress,
  control: TrainControl,
  events: TrainEvents,
): Promise<TrainOutcome> {
  const { settings } = session.options;
  const count = session.samplesOf('train').length;
  if (!count) throw new Error('There is no picture to train on. Add pictures, or change the split.');
  const batch = settings.batch_size as number;
  const order = new Order(count, batch, settings.seed as number, settings.shuffle as boolean);
  const steps = session.steps;
  const training = await session.training();
  const every = Math.max(1, Math.ceil(count / batch));
  const pending: Pending[] = [];
  let saved = control.now();
  let last = control.now();

  const settle = async (left: number) => {
    while (pending.length > left) {
      const { step, lr, figures } = pending.shift()!;
      const { loss, hits, control: c } = await figures;
      const point: StepPoint = {
        step,
        loss: loss[0],
        accuracy: hits.reduce((a, b) => a + b, 0) / batch,
        lr,
        gradNorm: c[controlField.norm],
        ms: control.now() - last,
      };
      last = control.now();
      progress.steps.push(point);
      events.step(point, step, steps);
      if (c[controlField.skipped]) {
        progress.skipped.push(step);
        events.notice(
          `The gradient of step ${step} was not finite. The step was skipped and the learning rate halved; if it happens again, choose a smaller one.`,
        );
      }
    }
  };
  let told = false;
  // A full disk costs the way back, not the run: it goes on in memory, and the person hears of it once.
  const keep = async (write: Promise<void>) => {
    try {
      await write;
    } catch (error) {
      if (!(error instanceof StorageFullError)) throw error;
      if (!told)
        events.notice(
          `${error.message} The run goes on, but closing the page would lose what it learns from here. ${error.advice}`,
        );
      told = true;
    }
  };
  const save = async () => {
    await settle(0);
    await keep(session.checkpoints.save(session.state, progress));
    saved = control.now();
  };

  const refresh = async () => {
    if (!session.refreshDue?.(progress.step)) return;
    await settle(0);
    await session.refresh?.(order, progress);
    last = control.now();
  };
  if (progress.step === 0) await refresh();

  while (progress.step < steps) {
    if (control.wish !== 'run') break;
    const turns = control.turns.splice(0);
    for (const { knob, value } of turns) {
      progress.knobs[knob] = value;
      progress.journal.push({ step: progress.step + 1, knob, value });
    }
    // A knob's move is on disk before it takes effect, so that a resumed run makes it too.
    if (turns.length) await save();
    for (const aside of control.asides?.splice(0) ?? []) {
      await settle(0);
      // What it changed is on disk before it takes effect, so that a resumed run has it too.
      if ((await aside(progress)) === 'changed') await save();
      last = control.now();
    }
    const step = progress.step + 1;
    const { lr } = await session.step(step, order, progress);
    progress.step = step;
    const figures = training.collect(['loss', 'hits', 'control']);
    // A device lost meanwhile is told where these are awaited, or where the loop ends before that.
    figures.catch(() => undefined);
    pending.push({ step, lr, figures });
    await settle(IN_FLIGHT);
    await refresh();
    if (step % every === 0 || step === steps) {
      await settle(0);
      const go = await check(session, progress, events, keep);
      last = control.now();
      if (!go && settings.early_stopping) break;
    }
    if (control.now() - saved > CHECKPOINT_MS) {
      await save();
      last = control.now();
    }
  }
  await save();
  if (control.wish === 'pause' && progress.step < steps) return { state: 'paused', progress };
  return { state: control.wish === 'stop' ? 'stopped' : 'done', progress };
}

/** Validates, keeps the best weights, and says whether it is worth going on. */
async function check(
  session: Trainee,
  progress: Progress,
  events: TrainEvents,
  keep: (write: Promise<void>) => Promise<void>,
): Promise<boolean> {
  const samples = session.samplesOf('val');
  if (!samples.length) return true;
  const { loss, hits, of } = await session.evaluate(samples, progress.knobs);
  const accuracy = hits / Math.max(1, of);
  const point: EvalPoint = { step: progress.step, split: 'val', loss, accuracy };
  progress.evals.push(point);
  const { best } = progress;
  if (!best || accuracy > best.accuracy || (accuracy === best.accuracy && loss < best.loss)) {
    progress.best = { step: progress.step, accuracy, loss };
    progress.waited = 0;
    await keep(session.checkpoints.saveBest(session.state, progress.step));
  } else progress.waited++;
  events.evaluated([point], progress.best);
  return progress.waited < PATIENCE;
}
