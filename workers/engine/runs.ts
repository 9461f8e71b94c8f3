import { methodById } from '../../models/methods/index.ts';
import { taskOfPlan } from '../../models/tasks/index.ts';
import type {
  MaskEdit,
  MaskEdited,
  MaskRenewal,
  MaskView,
  Profile,
  RunCurves,
  RunPlan,
  RunView,
} from '../protocol.ts';
import type { Progress as SessionProgress } from '../session/checkpoint.ts';
import { extraUse } from '../session/costOfUse.ts';
import { masksOf, paintMask, renewMasks } from '../session/masks.ts';
import { lastProgress } from './checkpoints.ts';
import { plannedFigures } from './figures.ts';
import { Life, type LifePorts } from './life.ts';
import { Line } from './line.ts';
import type { Plans } from './plans.ts';
import { moveBefore } from './queue.ts';
import { isActive, isMoving, type RunRecord, RunStateError } from './record.ts';
import type { Results } from './results.ts';
import { runFolder } from './runStore.ts';
import { type Tabs, trainerLock } from './tabs.ts';
import type { RunSession } from './trainer.ts';

interface Ports extends LifePorts {
  readonly tabs: Tabs;
  readonly plans: Plans;
  readonly results: Results;
  now(): number;
  newId(): string;
}

/** The commands on runs: makes them, puts them in the line, and steers those that train. */
export class Runs {
  readonly #ports: Ports;
  readonly #line: Line;
  readonly #lives = new Map<string, { life: Life; over: Promise<void> }>();
  readonly #turns = new Map<string, { knob: string; value: number }[]>();
  #watching = false;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#line = new Line({ ...ports, live: (record) => this.#live(record) });
  }

  /** Throws what does not fit the plan. */
  async create(given: RunPlan, wait: boolean): Promise<RunView> {
    const { plans, datasets, backbones, trainer, runs, now, newId } = this.#ports;
    const plan = await plans.complete(given);
    const { record, edited } = await datasets.open(plan.dataset);
    const { task = 'classification' } = plan;
    const { classes, counts } = await datasets.view(plan.dataset);
    if (task === 'classification' && classes.length < 2)
      throw new RunStateError(
        'There is one class only, so there is nothing to tell apart. Add a second one.',
      );
    if (counts.train === 0)
      throw new RunStateError('There is no sample to train on. Add some, or change the split.');
    const method = methodById(plan.method);
    trainer.accept(method);
    const { model, hash } = await backbones.open(plan.backbone);
    const { settings } = plan;
    const names = task === 'classification' ? classes.map(({ name }) => name) : [];
    const shape = {
      model,
      attachment: method.attach(model, settings),
      classes: names.length,
      settings,
      task: taskOfPlan(plan),
    };
    const extra = extraUse(method, shape, trainer.limits.maxBindingBytes);
    const rank = plan.settings.r === undefined ? '' : ` r${plan.settings.r}`;
    const view: RunView = {
      id: newId(),
      name: `${method.card.title}${rank} on ${record.name}`,
      plan,
      datasetName: record.name,
      dataHash: edited.hash,
      classes: names,
      createdAt: now(),
      state: 'queued',
      place: wait || this.#busy() ? this.#lastPlace() : this.#firstPlace(),
      progress: { phase: 'Waiting', done: 0, total: 0, unit: '', perSecond: null, secondsLeft: null },
      figures: plannedFigures(await plans.estimate(plan), trainer.backend, extra),
    };
    const { id } = view;
    const rest = { edits: record.edits, datasetHash: edited.hash, backboneHash: hash };
    await runs.add({ version: 2, id, view, ...rest, epoch: 1, report: null, removedAt: null });
    if (!wait) this.#line.move(true);
    return runs.get(id).view;
  }

  /** Whether a run trains or is about to. */
  #busy(): boolean {
    const { runs } = this.#ports;
    return runs.list().some(({ state }) => isMoving(state)) || (this.#line.moves && runs.queue().length > 0);
  }

  #firstPlace(): number {
    return (this.#ports.runs.queue()[0]?.place ?? 0) - 1;
  }

  #lastPlace(): number {
    return (this.#ports.runs.queue().at(-1)?.place ?? 0) + 1;
  }

  /** Goes on with a run, as the next one; a waiting one is brought to the front and begun where nothing trains. */
  async resume(id: string): Promise<void> {
    const { runs } = this.#ports;
    const record = runs.get(id);
    if (isMoving(record.view.state)) return;
    if (record.view.state === 'done' || record.view.state === 'imported')
      throw new RunStateError(`"${record.view.name}" is complete; there is nothing left to resume.`);
    await this.#lives.get(id)?.over;
    const place = this.#firstPlace();
    if (record.view.state === 'queued') await runs.change(id, {}, { place });
    else {
      await runs.change(id, { epoch: record.epoch + 1 });
      await runs.move(id, 'queued', { place });
    }
    this.#line.move(true);
  }

  /** Puts a waiting run before another one, or last. */
  async moveQueued(id: string, before: string | null): Promise<void> {
    const { runs } = this.#ports;
    const ids = runs.queue().map((run) => run.id);
    await runs.order(moveBefore(ids, id, before));
  }

  /** Lets the queue move, or holds it. */
  moveQueue(moves: boolean): void {
    this.#line.move(moves);
  }

  /** Another tab moved the queue or held it. */
  heardQueue(moves: boolean): void {
    this.#line.heard(moves);
  }

  /** Pauses a run, or takes one that waits out of the queue. */
  async pause(id: string): Promise<void> {
    await this.#ask(id, 'pause');
  }

  async stop(id: string): Promise<void> {
    const { runs } = this.#ports;
    const { state } = runs.get(id).view;
    if (state === 'paused' || state === 'interrupted' || state === 'failed') return runs.move(id, 'stopped');
    await this.#ask(id, 'stop');
  }

  /** Moves a knob of a run that trains or rests between; it takes effect at its next step and is kept in its journal. */
  async turn(id: string, knob: string, value: number): Promise<void> {
    const { view } = this.#ports.runs.get(id);
    if (!isActive(view.state) && view.state !== 'paused')
      throw new RunStateError(`"${view.name}" is not training now, so no knob can be turned.`);
    if (isMoving(view.state) && !this.#lives.has(id))
      throw new RunStateError(`"${view.name}" trains in another tab. Turn its knobs there.`);
    const known = await this.#knobs(view.plan);
    if (!known.includes(knob) || !Number.isFinite(value))
      throw new RunStateError(`${knob} cannot be turned while it trains; ${known.join(', ')} can.`);
    this.#turnsOf(id).push({ knob, value });
  }

  async #knobs({ method, backbone, settings }: RunPlan): Promise<string[]> {
    const { model } = await this.#ports.backbones.open(backbone);
    const { knobs } = methodById(method).attach(model, settings);
    return [...knobs.map(({ name }) => name), 'lr'];
  }

  /** Moves that wait for the next step; they outlive a pause. */
  #turnsOf(id: string): { knob: string; value: number }[] {
    let turns = this.#turns.get(id);
    if (!turns) {
      turns = [];
      this.#turns.set(id, turns);
    }
    return turns;
  }

  async curves(id: string): Promise<RunCurves> {
    const record = this.#ports.runs.get(id);
    const stored = await lastProgress(this.#ports.files, `${runFolder(id)}checkpoints`);
    const { steps = [], evals = [], journal = [] } = stored ?? {};
    const life = this.#lives.get(id)?.life;
    if (!life || !isActive(record.view.state)) return { steps, evals, journal };
    // What came since the checkpoint is in memory alone.
    const begun = steps.at(-1)?.step ?? 0;
    return {
      steps: [...steps, ...life.curves.steps.filter(({ step }) => step > begun)],
      evals: [...evals, ...life.curves.evals.filter(({ step }) => step > (evals.at(-1)?.step ?? 0))],
      journal,
    };
  }

  /** Times a step: between two of a run that trains, or of one that rests. */
  profile(id: string): Promise<Profile> {
    return this.#between(
      id,
      (session, progress) => session.profile(progress),
      () => this.#ports.results.profile(id),
    );
  }

  masks(id: string): Promise<MaskView[]> {
    return this.#between(id, masksOf, () => this.#ports.results.masks(id));
  }

  /** Paints in a run's mask. Throws `RunStateError` for a run that will not train on. */
  editMask(id: string, edit: MaskEdit): Promise<MaskEdited> {
    const paint = (session: RunSession, { knobs }: SessionProgress) => paintMask(session, knobs, edit);
    return this.#between(id, paint, () => this.#ports.results.editMask(id, edit), 'changed');
  }

  /** Chooses a run's masks anew, at the same moments. */
  renewMasks(id: string, renewal: MaskRenewal): Promise<MaskEdited> {
    const renew = (session: RunSession, { knobs }: SessionProgress) => renewMasks(session, knobs, renewal);
    return this.#between(id, renew, () => this.#ports.results.renewMasks(id, renewal), 'changed');
  }

  /** Works between two steps of a run that trains, or on one that rests. */
  async #between<T>(
    id: string,
    work: (session: RunSession, progress: SessionProgress) => Promise<T>,
    resting: () => Promise<T>,
    changed?: 'changed',
  ): Promise<T> {
    const active = this.#lives.get(id);
    if (active && this.#ports.runs.get(id).view.state === 'running') {
      const done = await Promise.race([
        active.life.between(work, changed).then((value) => ({ value })),
        active.over.then(() => null),
      ]);
      if (done) return done.value;
    }
    return resting();
  }

  async rename(id: string, name: string): Promise<RunView> {
    const { runs } = this.#ports;
    const trimmed = name.trim();
    if (!trimmed) throw new RunStateError('A run needs a name.');
    await runs.change(id, {}, { name: trimmed });
    return runs.get(id).view;
  }

  async remove(id: string): Promise<void> {
    const { runs, now } = this.#ports;
    const active = this.#lives.get(id);
    if (active && isActive(runs.get(id).view.state)) {
      active.life.wish('stop');
      await active.over;
    }
    await runs.change(id, { removedAt: now() });
  }

  async restore(id: string): Promise<RunView> {
    await this.#ports.runs.change(id, { removedAt: null });
    return this.#ports.runs.get(id).view;
  }

  /** Another tab told of a run. */
  heard(view: RunView): void {
    this.#ports.runs.heard(view);
    if (isMoving(view.state)) this.watchOthers();
  }

  /** Waits for the tab that trains to end; a run it leaves behind as moving was cut off. */
  watchOthers(): void {
    const { runs, tabs } = this.#ports;
    const others = () => runs.list().filter(({ id, state }) => isMoving(state) && !this.#lives.has(id));
    if (this.#watching || others().length === 0) return;
    this.#watching = true;
    void tabs.whenFree(trainerLock).then(async () => {
      this.#watching = false;
      for (const { id } of others()) await runs.cutOff(id);
      // Nobody is left to go on with the queue; it waits for a person.
      if (!this.#line.busy && (await tabs.isIdle(trainerLock))) this.#line.move(false);
    });
  }

  async #ask(id: string, what: 'pause' | 'stop'): Promise<void> {
    const { view } = this.#ports.runs.get(id);
    const active = this.#lives.get(id);
    if (active && isActive(view.state)) return active.life.wish(what);
    if (view.state === 'queued') return this.#ports.runs.move(id, what === 'pause' ? 'paused' : 'stopped');
    if (isMoving(view.state))
      throw new RunStateError(`"${view.name}" trains in another tab. Go there to ${what} it.`);
    throw new RunStateError(`"${view.name}" is not training now.`);
  }

  async #live(record: RunRecord): Promise<void> {
    const { id } = record;
    const { results } = this.#ports;
    const life = new Life(record, this.#ports, this.#turnsOf(id));
    const work = async () => {
      await results.settled();
      life.session = results.release(id);
      await life.live();
      if (life.session) results.keep(id, life.session);
    };
    // A life never throws but where the disk refuses its record; the run then shows as it was last written.
    const over = work()
      .catch(() => undefined)
      .finally(() => this.#lives.delete(id));
    this.#lives.set(id, { life, over });
    await over;
  }
}
