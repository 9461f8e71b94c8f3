import { nounOf } from '../../models/data/kind.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import { taskOfPlan } from '../../models/tasks/index.ts';
import type { Pool } from '../datasets/jobs.ts';
import { storedSamples } from '../datasets/pictures.ts';
import type { DatasetStore } from '../datasets/store.ts';
import { toStudioError } from '../errors.ts';
import type { EvalPoint, RunCurves, RunState, RunView, StepPoint, StudioEvent } from '../protocol.ts';
import type { ReferenceWorker } from '../reference.ts';
import type { Progress as SessionProgress } from '../session/checkpoint.ts';
import { Cancelled } from '../session/features.ts';
import { score } from '../session/metrics.ts';
import { type Files, StorageFullError } from '../session/ports.ts';
import { probeHits } from '../session/probe.ts';
import { costsOf } from '../session/programs.ts';
import { reportOf } from '../session/report.ts';
import type { TrainControl } from '../session/train.ts';
import type { Backbones } from './backbones.ts';
import { halveBatch } from './checkpoints.ts';
import { median, trainedFigures } from './figures.ts';
import { Pace } from './pace.ts';
import { saveProbe } from './probeFile.ts';
import { noticeOf, type RunRecord } from './record.ts';
import { type RunStore, runFolder } from './runStore.ts';
import type { Speeds } from './speeds.ts';
import { DeviceLostError, type RunSession, type Trainer } from './trainer.ts';

export interface LifePorts {
  readonly files: Files;
  readonly pool: Pool;
  readonly datasets: DatasetStore;
  readonly backbones: Backbones;
  readonly reference: ReferenceWorker;
  readonly trainer: Trainer;
  readonly runs: RunStore;
  readonly speeds: Speeds;
  tell(event: StudioEvent): void;
  /** Milliseconds of a clock that never goes back. */
  tick(): number;
}

/** The data set of a run is not what it began with. */
export class DataChangedError extends Error {
  override name = 'DataChangedError';
  readonly advice = 'Start a new run on the data set as it is now.';
}

/** Losses of the device after which a run gives up. */
const mostLosses = 3;
/** Milliseconds between two looks at the spectra of a training run. */
const spectraEvery = 4000;
/** Milliseconds a picture below which its features were read, not computed. */
const fromStorage = 0.5;

/** A run from its start or resume until it is done, paused, stopped or failed. */
export class Life {
  readonly control: TrainControl;
  /** Points so far, those of earlier lives up to the checkpoint among them. */
  readonly curves: RunCurves = { steps: [], evals: [], journal: [] };
  /** There once the run is prepared; stays after the end until somebody destroys it. */
  session: RunSession | null = null;
  readonly #id: string;
  readonly #epoch: number;
  readonly #ports: LifePorts;
  readonly #pace: Pace;
  #spectraAt = 0;
  #features = { from: 0, at: 0, done: 0 };

  /** `turns` are knob moves that a life before this one did not come to. */
  constructor(record: RunRecord, ports: LifePorts, turns: TrainControl['turns'] = []) {
    this.#id = record.id;
    this.#epoch = record.epoch;
    this.#ports = ports;
    this.control = { wish: 'run', turns, asides: [], now: ports.tick };
    this.#pace = new Pace(ports.tick);
  }

  /**
   * Lives to the end; never throws: a failure becomes the run's state. A lost device is taken for what it is: taken
   * anew twice, the second time with half the batch, given up the third time.
   */
  async live(): Promise<void> {
    let losses = 0;
    try {
      await this.#ports.trainer.ready();
    } catch (error) {
      return this.#fail(error);
    }
    for (;;) {
      const lost = this.#ports.trainer.lost();
      try {
        await this.#attempt(lost);
        return;
      } catch (error) {
        if (error instanceof Cancelled)
          return this.#end(this.control.wish === 'pause' ? 'paused' : 'stopped');
        const reason = await soon(lost);
        if (reason === null) return this.#fail(error);
        this.#forget();
        if (!(await this.#recover(++losses, reason))) return;
      }
    }
  }

  /** Asks a run to pause or stop at the next step. */
  wish(what: 'pause' | 'stop'): void {
    this.control.wish = what;
  }

  /** Does something with the session between two steps; never settles where the run ends first. */
  between<T>(
    work: (session: RunSession, progress: SessionProgress) => Promise<T>,
    changed?: 'changed',
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      this.control.asides!.push((progress) =>
        work(this.session!, progress)
          .then(resolve, reject)
          .then(() => changed),
      );
    });
  }

  async #attempt(lost: Promise<string>): Promise<void> {
    const { runs } = this.#ports;
    this.#watchful();
    await runs.move(this.#id, 'preparing');
    this.session ??= await this.#open();
    this.#watchful();
    const { session } = this;
    const probed = this.#probe(session);
    // A probe that fails is told when its score is needed; the training does not wait for it.
    probed.catch(() => undefined);
    const { steps } = session;
    const done = Math.min(steps, this.curves.steps.at(-1)?.step ?? 0);
    await runs.move(this.#id, 'running', { progress: this.#pace.progress('Training', done, steps, 'steps') });
    const events = {
      step: (point: StepPoint, done: number, total: number) => this.#step(point, done, total),
      evaluated: (points: EvalPoint[], best: RunView['best'] | null) => this.#evaluated(points, best),
      notice: (message: string) => this.#notice(message),
    };
    const broken = lost.then((reason): never => {
      throw new Error(`The graphics device was lost: ${reason}.`);
    });
    broken.catch(() => undefined);
    const { state, progress } = await Promise.race([session.run(this.control, events), broken]);
    this.#take(progress);
    await this.#keepSpeeds(session).catch((error) =>
      this.#notice(`The time of a run cannot be estimated: ${error.message}`),
    );
    if (state === 'done') await this.#score(session, progress, probed);
    await this.#measure(session, progress).catch((error) =>
      this.#notice(`The figures of this run are those that were planned: ${error.message}`),
    );
    const { step } = progress;
    await this.#end(state, { progress: this.#pace.progress('Training', step, session.steps, 'steps') });
  }

  async #open(): Promise<RunSession> {
    const { backbones, datasets, files, pool, trainer, runs } = this.#ports;
    const record = runs.get(this.#id);
    const { plan } = record.view;
    const backbone = await backbones.open(plan.backbone);
    await backbone.fetch((done, total) => this.#report('Fetching the backbone', done, total, 'bytes'));
    const { rows, edited } = await datasets.at(plan.dataset, record.edits);
    if (edited.hash !== record.datasetHash)
      throw new DataChangedError(`The data set of "${record.view.name}" is not the one it began with.`);
    const dataset = storedSamples(edited, rows, { files, pool }, backbone, plan.task);
    const folder = `${runFolder(this.#id)}checkpoints`;
    this.#features = { from: 0, at: 0, done: 0 };
    return trainer.open({
      files,
      backbone,
      method: methodById(plan.method),
      settings: plan.settings,
      task: taskOfPlan(plan),
      dataset,
      folder,
      report: (phase, { done, total }) => {
        const features = phase.includes('features');
        if (features) this.#timeFeatures(done);
        this.#report(phase, done, total, features ? `${nounOf[backbone.card.modality]}s` : '');
      },
    });
  }

  #timeFeatures(done: number): void {
    if (done === 0) this.#features.from = this.#ports.tick();
    this.#features.at = this.#ports.tick();
    this.#features.done = done;
  }

  /** Keeps how fast it went, for estimates; a prefix that came from storage says nothing. */
  async #keepSpeeds(session: RunSession): Promise<void> {
    const { speeds, trainer } = this.#ports;
    const costs = costsOf(session.shape, trainer.limits.maxBindingBytes);
    const { from, at, done } = this.#features;
    if (done > 0 && (at - from) / done > fromStorage) await speeds.features(costs, done, at - from);
    const last = this.curves.steps.slice(-20).map(({ ms }) => ms);
    if (last.length >= 5) await speeds.steps(costs, median(last)!);
  }

  /** What the run turned out to cost, in place of what was planned: a lost device may have halved its batch. */
  async #measure(session: RunSession, progress: SessionProgress): Promise<void> {
    const { runs, backbones, trainer } = this.#ports;
    const { view } = runs.get(this.#id);
    const { card } = await backbones.open(view.plan.backbone);
    const figures = await trainedFigures(session, progress, trainer, card.id);
    await runs.change(this.#id, {}, { figures });
  }

  #report(phase: string, done: number, total: number, unit: string): void {
    this.#ports.runs.progress(this.#id, { progress: this.#pace.progress(phase, done, total, unit) });
    this.#watchful();
  }

  #watchful(): void {
    if (this.control.wish !== 'run') throw new Cancelled('The run was asked to end.');
  }

  #step(point: StepPoint, done: number, total: number): void {
    const { steps } = this.curves;
    // A resumed run says again what came after its checkpoint.
    while (steps.length > 0 && steps.at(-1)!.step >= point.step) steps.pop();
    steps.push(point);
    const progress = this.#pace.progress('Training', done, total, 'steps');
    this.#ports.runs.progress(this.#id, { progress, latest: point });
    this.#ports.tell({ kind: 'points', run: this.#id, epoch: this.#epoch, steps: [point], evals: [] });
  }

  #evaluated(points: EvalPoint[], best: RunView['best'] | null): void {
    this.curves.evals.push(...points);
    if (best) {
      const { step, accuracy } = best;
      const n = this.session?.samplesOf('val').length ?? 0;
      const val = n > 0 ? { val: score(Math.round(accuracy * n), n) } : {};
      this.#ports.runs.progress(this.#id, { best: { step, accuracy }, ...val });
    }
    this.#ports.tell({ kind: 'points', run: this.#id, epoch: this.#epoch, steps: [], evals: points });
    const now = this.#ports.tick();
    if (now - this.#spectraAt < spectraEvery) return;
    this.#spectraAt = now;
    // A picture beside the training; where it cannot be had, the training itself says why.
    this.#spectra(points.at(-1)?.step ?? 0).catch(() => undefined);
  }

  async #spectra(step: number): Promise<void> {
    const spectra = await this.session?.spectra();
    if (spectra?.length) this.#ports.tell({ kind: 'spectra', run: this.#id, step, spectra });
  }

  #notice(message: string): void {
    this.#ports.tell({ kind: 'notice', error: noticeOf(message) });
  }

  #take(progress: SessionProgress): void {
    this.curves.steps = progress.steps;
    this.curves.evals = progress.evals;
    this.curves.journal = progress.journal;
  }

  /** Fits the linear probe beside the training, keeps it, and scores it on validation. */
  async #probe(session: RunSession): Promise<void> {
    // Where every token is answered, there is no class for a probe to tell.
    if (session.answersTokens) return;
    const { reference, runs, files } = this.#ports;
    const [train, val] = [session.labelled('train'), session.labelled('val')];
    const probe = await reference.fitProbe(train, val, session.classes);
    session.takeProbe(probe);
    try {
      await saveProbe(files, this.#id, probe);
    } catch (error) {
      // Without it a later visit shows no comparison; the run itself needs it only now.
      if (!(error instanceof StorageFullError)) throw error;
    }
    if (val.labels.length > 0)
      runs.progress(this.#id, { probe: score(probeHits(probe, val), val.labels.length) });
  }

  /** Takes the best weights and reads the test split, once. */
  async #score(session: RunSession, progress: SessionProgress, probed: Promise<void>): Promise<void> {
    const { runs } = this.#ports;
    const total = session.samplesOf('test').length || session.samplesOf('val').length;
    runs.progress(this.#id, { progress: this.#pace.progress('Scoring', 0, total, 'pictures') });
    await probed;
    await session.takeBest();
    const report = await reportOf(session, progress.knobs);
    if (!report) return;
    const step = progress.best?.step ?? progress.step;
    const scores = report.split === 'test' ? { test: report.score } : {};
    await runs.change(
      this.#id,
      { report: { ...report, step } },
      { ...scores, probe: report.baseScore ?? undefined },
    );
    this.#spectra(step).catch(() => undefined);
  }

  async #recover(losses: number, reason: string): Promise<boolean> {
    const { tell, trainer, runs } = this.#ports;
    const what = `The graphics device was lost (${reason}).`;
    if (losses >= mostLosses) {
      const error = new DeviceLostError(`${what} That was the third time in this run.`);
      tell({ kind: 'device-lost', error: toStudioError(error), recovered: false });
      await this.#fail(error);
      return false;
    }
    try {
      await trainer.renew();
      if (losses === 2) await this.#halve();
    } catch (error) {
      tell({ kind: 'device-lost', error: toStudioError(error), recovered: false });
      await this.#fail(error);
      return false;
    }
    const batch = runs.get(this.#id).view.plan.settings.batch_size;
    const next =
      losses === 2
        ? `It goes on from its last checkpoint with batches of ${batch}.`
        : 'It goes on from its last checkpoint.';
    tell({ kind: 'device-lost', error: { name: 'DeviceLost', message: `${what} ${next}` }, recovered: true });
    return true;
  }

  async #halve(): Promise<void> {
    const { runs, files } = this.#ports;
    const { plan } = runs.get(this.#id).view;
    const batch = plan.settings.batch_size as number;
    if (batch < 2) return;
    const settings: Settings = { ...plan.settings, batch_size: Math.floor(batch / 2) };
    await halveBatch(files, `${runFolder(this.#id)}checkpoints`, batch / Math.floor(batch / 2));
    await runs.change(this.#id, {}, { plan: { ...plan, settings } });
  }

  async #end(state: RunState, change: Partial<RunView> = {}): Promise<void> {
    await this.#ports.runs.move(this.#id, state, change);
  }

  async #fail(error: unknown): Promise<void> {
    this.#forget();
    await this.#ports.runs.move(this.#id, 'failed', { error: toStudioError(error) });
  }

  #forget(): void {
    this.session?.destroy();
    this.session = null;
  }
}

/** A promise's value if it is there within a moment (a lost device is told a little after its first failure). */
function soon(promise: Promise<string>): Promise<string | null> {
  return Promise.race([promise, new Promise<null>((resolve) => setTimeout(() => resolve(null), 300))]);
}
