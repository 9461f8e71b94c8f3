import type * as P from '../../workers/protocol.ts';
import { catalogue } from './fakeCatalogue.ts';
import { fashion, understand, wilson } from './fakeData.ts';
import { clone, FakeDatasets, wait } from './fakeDatasets.ts';
import { estimateOf } from './fakeEstimate.ts';
import { ships, tokenReport, writeFake, writer } from './fakeLanguage.ts';
import { extraUseOf, mergeOf } from './fakeMerge.ts';
import { compared, queueOf, reachedOf, waiting } from './fakeRuns.ts';
import { bare, deviceLost, machineOf, outOfMemory, type Scene } from './fakeScenes.ts';
import { cutOf, grow, masksOf, profileOf, renewed, reportOf, sharesOf, spectraOf } from './fakeScores.ts';
import { questions } from './fakeTexts.ts';

const STEPS = 280;

/** An engine that computes nothing and answers everything, in the page, on a timer. */
export class FakeStudio extends FakeDatasets implements P.Studio {
  private list = new Map<string, P.RunView>();
  private points = new Map<string, P.RunCurves>();
  private timers = new Map<string, ReturnType<typeof setInterval>>();
  private moves = false;

  constructor(
    private scene: Scene = 'empty',
    tickMs = 100,
  ) {
    super(tickMs);
  }

  async open(listen: (event: P.StudioEvent) => void): Promise<P.Machine> {
    this.listen = listen;
    if (this.scene === 'opening') await new Promise(() => undefined);
    if (this.scene === 'broken')
      throw Object.assign(new Error('The browser gave a GPU device and took it back at once.'), {
        name: 'DeviceFailed',
        advice: 'Close other pages that use the GPU, then reload this one.',
      });
    this.prepare();
    return machineOf(this.scene, await this.storage());
  }

  private prepare(): void {
    const { scene } = this;
    if (!['texts', 'writing', 'empty', 'importing', 'nogpu', 'imported', 'headless'].includes(scene))
      this.sets.set('fashion', [fashion()]);
    if (scene === 'texts') this.sets.set('mail', [questions()]);
    if (scene === 'writing') this.sets.set('ships', [ships()]);
    const make = (
      id: string,
      name: string,
      state: P.RunState,
      done: number,
      ago: number,
      { turned = {}, method = 'lora' }: { turned?: Record<string, number>; method?: string | undefined } = {},
    ) => {
      const run = this.newRun(id, name, {
        dataset: 'fashion',
        backbone: 'efficientnet-lite0',
        method,
        settings: { ...this.settings(method), ...turned },
      });
      run.createdAt = Date.now() - ago;
      this.list.set(id, run);
      this.advance(run, done);
      run.state = state;
      return run;
    };
    if (['running', 'queue', 'paused', 'done', 'interrupted', 'failed', 'lost'].includes(scene))
      make('r0', 'fashion, rank 2', 'done', STEPS, 86_000_000);
    if (scene === 'compare')
      for (const [i, c] of compared.entries()) make(c.id, c.name, 'done', STEPS, 9_000_000 - i * 600_000, c);
    if (scene === 'queue') {
      for (const [place, w] of waiting.entries())
        make(w.id, w.name, 'queued', 0, 20_000 - place * 5000, w).place = place;
      this.moveQueue(true);
    }
    if (scene === 'done') make('r1', 'fashion, rank 8', 'done', STEPS, 700_000);
    if (scene === 'texts') {
      const run = make('r1', 'questions, rank 8', 'done', STEPS, 50_000);
      run.plan = { ...run.plan, dataset: 'mail', backbone: 'minilm-l6' };
      run.classes = questions().classes.map((c) => c.name);
      run.datasetName = 'questions';
    }
    if (scene === 'writing') this.list.set('r1', writer(make('r1', 'ships, rank 8', 'done', STEPS, 50_000)));
    if (scene === 'interrupted') make('r1', 'fashion, rank 8', 'interrupted', 150, 4_000_000);
    if (scene === 'sparse')
      make('r1', 'fashion, two in a hundred', 'paused', 120, 60_000, { method: 'shira' });
    if (scene === 'paused') make('r1', 'fashion, rank 8', 'paused', 120, 60_000);
    if (scene === 'failed') {
      const run = make('r1', 'fashion, rank 64', 'failed', 12, 60_000);
      run.error = outOfMemory;
    }
    if (scene === 'running' || scene === 'lost' || scene === 'queue')
      this.start(make('r1', 'fashion, rank 8', 'running', 120, 30_000));
    if (scene === 'imported') {
      const run = make('r2', 'signs-lora-r8', 'imported', STEPS, 60_000);
      delete run.probe;
    }
    if (scene === 'headless') this.list.set('r3', bare(make('r3', 'style-lora', 'imported', STEPS, 60_000)));
    if (scene === 'lost') setTimeout(() => this.listen(deviceLost), 50);
  }

  catalogue = async () => clone(catalogue);
  storage = async () => ({ usedBytes: 48_000_000, quotaBytes: 6_000_000_000, persisted: false });

  async take(files: P.DroppedFile[]): Promise<P.Understood> {
    for (let done = 0; done <= files.length; done += Math.max(1, files.length >> 4)) {
      this.listen({
        kind: 'progress',
        job: 'import',
        progress: {
          phase: 'Reading pictures',
          done,
          total: files.length + 1,
          unit: 'files',
          perSecond: 210,
          secondsLeft: 2,
        },
      });
      await wait(this.tickMs / 4);
    }
    if (this.scene === 'importing') await wait(60_000);
    if (files.every((f) => /\.zip$/.test(f.path))) {
      const run = {
        ...this.newRun('r9', 'dropped adapter', {
          dataset: '',
          backbone: 'efficientnet-lite0',
          method: 'lora',
          settings: this.settings('lora'),
        }),
        state: 'imported' as const,
      };
      this.list.set(run.id, run);
      return {
        kind: 'adapter',
        sentence: 'A LoRA of rank 8 for EfficientNet-Lite0, ten classes.',
        run: clone(run),
      };
    }
    const understood = understand(files, `d${++this.edits}`);
    if (understood.kind === 'dataset') this.sets.set(understood.dataset.id, [understood.dataset]);
    return clone(understood);
  }

  async openSample() {
    await wait(this.tickMs);
    const dataset = fashion();
    this.sets.set(dataset.id, [dataset]);
    return clone(dataset);
  }
  async estimate(plan: P.RunPlan) {
    const images = this.sets.get(plan.dataset)?.at(-1)?.counts.train ?? 0;
    return estimateOf(plan, images, this.list.size > 0);
  }

  private newRun(id: string, name: string, plan: P.RunPlan): P.RunView {
    const dataset = this.sets.get(plan.dataset)?.at(-1) ?? fashion();
    this.points.set(id, { steps: [], evals: [], journal: [] });
    const cost = estimateOf(plan, dataset.counts.train, true);
    return {
      id,
      name,
      plan,
      datasetName: dataset.name,
      dataHash: dataset.hash,
      figures: {
        trainableParameters: cost.trainableParameters,
        peakBytes: cost.memory.total,
        fileBytes: cost.fileBytes,
        stepMs: null,
        extraUse: extraUseOf(plan.method),
      },
      classes: dataset.classes.map((c) => c.name),
      createdAt: Date.now(),
      state: 'preparing',
      progress: {
        phase: 'Computing frozen features',
        done: 0,
        total: STEPS,
        unit: 'steps',
        perSecond: null,
        secondsLeft: null,
      },
    };
  }
  async createRun(plan: P.RunPlan, { wait } = { wait: false }) {
    const id = `n${++this.edits}`;
    const run = this.newRun(
      id,
      `${this.sets.get(plan.dataset)!.at(-1)!.name.toLowerCase()}, ${plan.method}`,
      clone(plan),
    );
    this.list.set(id, run);
    if (wait || [...this.list.values()].some((r) => r.state === 'running')) {
      run.place = (queueOf(this.list.values()).at(-1)?.place ?? 0) + 1;
      run.state = 'queued';
    } else this.start(run);
    if (!wait) this.moveQueue(true);
    return clone(run);
  }

  /** Puts the run at `done` steps, its curves with it. */
  private advance(run: P.RunView, done: number): { steps: P.StepPoint[]; evals: P.EvalPoint[] } {
    const curves = this.points.get(run.id)!;
    const from = curves.steps.length;
    grow(run, curves, done, STEPS);
    run.probe = wilson(119, 150);
    if (done > 0) run.latest = curves.steps.at(-1)!;
    if (run.best) run.val = wilson(Math.round(run.best.accuracy * 150), 150);
    run.progress = {
      phase: 'Training',
      done,
      total: STEPS,
      unit: 'steps',
      perSecond: 8.3,
      secondsLeft: (STEPS - done) * 0.12,
    };
    if (done >= STEPS) {
      run.state = 'done';
      run.progress = { ...run.progress, phase: 'Done', secondsLeft: null };
      run.test = wilson(Math.round(reachedOf(run.id) * 150), 150);
      const { image_size, r } = run.plan.settings;
      run.figures = {
        ...run.figures,
        stepMs: 88 * (Number(image_size) / 224) ** 2 + Number(r ?? 0) * 1.4 + 12,
      };
    }
    return { steps: curves.steps.slice(from), evals: curves.evals.filter((e) => e.step > from) };
  }
  private start(run: P.RunView): void {
    run.state = 'running';
    const timer = setInterval(() => {
      const points = this.advance(run, Math.min(STEPS, this.points.get(run.id)!.steps.length + 2));
      this.listen({ kind: 'points', run: run.id, epoch: 0, ...clone(points) });
      if (points.evals.length > 0)
        this.listen({ kind: 'spectra', run: run.id, step: run.latest!.step, spectra: spectraOf(run) });
      this.tell(run);
      if (run.state === 'done') this.halt(run.id);
      if (run.state === 'done') this.next();
    }, this.tickMs);
    this.timers.set(run.id, timer);
  }
  /** Begins the first run that waits. */
  private next(): void {
    const busy = [...this.list.values()].some((run) => run.state === 'running');
    const first = queueOf(this.list.values())[0];
    if (!this.moves || busy) return;
    if (first) this.start(first);
    else this.moveQueue(false);
  }
  async moveQueue(moves: boolean) {
    if (this.moves === moves) return;
    this.moves = moves;
    // Events come after the answer, as from a worker.
    setTimeout(() => this.listen({ kind: 'queue', moves }));
    if (moves) setTimeout(() => this.next());
  }
  async moveQueued(id: string, before: string | null) {
    const rest = queueOf(this.list.values()).filter((run) => run.id !== id);
    const at = before === null ? rest.length : rest.findIndex((run) => run.id === before);
    rest.splice(Math.max(0, at), 0, this.list.get(id)!);
    for (const [place, run] of rest.entries()) {
      run.place = place;
      this.tell(run);
    }
  }
  private halt(id: string): void {
    clearInterval(this.timers.get(id));
  }
  private tell(run: P.RunView): void {
    this.listen({ kind: 'run', run: clone(run) });
  }
  private set(id: string, state: P.RunState): void {
    const run = this.list.get(id)!;
    run.state = state;
    this.tell(run);
  }
  async resume(id: string) {
    this.start(this.list.get(id)!);
    this.tell(this.list.get(id)!);
  }
  async pause(id: string) {
    this.halt(id);
    this.set(id, 'paused');
    this.next();
  }
  async stop(id: string) {
    this.halt(id);
    this.set(id, 'stopped');
    this.next();
  }
  async turn(id: string, knob: string, value: number) {
    this.points.get(id)!.journal.push({ step: this.points.get(id)!.steps.length, knob, value });
  }
  async runs() {
    return clone([...this.list.values()]);
  }
  async curves(id: string) {
    return clone(this.points.get(id)!);
  }
  async renameRun(id: string, name: string) {
    this.list.get(id)!.name = name;
    return clone(this.list.get(id)!);
  }
  async removeRun(id: string) {
    this.halt(id);
    this.removed.set(id, this.list.get(id)!);
    this.list.delete(id);
  }
  async restoreRun(id: string) {
    const run = this.removed.get(id) as P.RunView;
    this.list.set(id, run);
    return clone(run);
  }

  async report(id: string): Promise<P.Report> {
    const run = this.list.get(id)!;
    if (run.state === 'imported')
      throw Object.assign(new Error('This adapter came without the pictures that it was scored on.'), {
        name: 'NoPictures',
        advice: 'Open a data set with the same classes to score it; trying single pictures works now.',
      });
    await wait(this.tickMs);
    return run.plan.task ? tokenReport : reportOf(run);
  }
  async spectra(id: string) {
    return spectraOf(this.list.get(id)!);
  }
  async masks(id: string): Promise<P.MaskView[]> {
    return masksOf(this.list.get(id)!);
  }
  async editMask(id: string, _edit: P.MaskEdit): Promise<P.MaskEdited> {
    await wait(this.tickMs);
    return { masks: masksOf(this.list.get(id)!), before: null, after: null };
  }
  async renewMasks(id: string, renewal: P.MaskRenewal): Promise<P.MaskEdited> {
    await wait(this.tickMs * 3);
    return renewed(this.list.get(id)!, renewal);
  }
  async cutRanks(id: string, ranks: Record<string, number>): Promise<P.RankCut> {
    await wait(this.tickMs);
    return cutOf(this.list.get(id)!, ranks);
  }
  async profile(id: string): Promise<P.Profile> {
    await wait(this.tickMs * 5);
    return profileOf(this.list.get(id)!);
  }
  async predict(id: string, sample: Blob | P.Words): Promise<P.Prediction> {
    const { classes, state } = this.list.get(id)!;
    await wait(this.tickMs);
    return {
      classes,
      withAdapter: sharesOf(classes, 1.9),
      withoutAdapter: state === 'imported' ? null : sharesOf(classes, 0.22),
      thumbnail: sample instanceof Blob ? sample : new Blob(),
      ms: 14.2,
    };
  }
  async exportAdapter(id: string) {
    await wait(this.tickMs);
    return {
      name: `${this.list.get(id)!.name.replaceAll(/[^a-z0-9]+/gi, '-')}.zip`,
      zip: new Blob([new Uint8Array(1_634_000)]),
    };
  }
  async exportOnnx(id: string): Promise<P.ModelDownload> {
    await wait(this.tickMs);
    const name = this.list.get(id)!.name.replaceAll(/[^a-z0-9]+/gi, '-');
    return { name: `${name}.onnx`, file: new Blob([new Uint8Array(7_100_000)]), kept: null };
  }
  async exportMerged(id: string): Promise<P.ModelDownload> {
    const { name, file } = await this.exportOnnx(id);
    return { name: name.replace('.onnx', '-model.zip'), file, kept: null };
  }
  async write(run: string, { prompt }: P.WriteRequest): Promise<P.Written> {
    return writeFake(prompt, (written) => this.listen({ kind: 'written', run, written }));
  }
  async exportElsewhere(id: string): Promise<P.ModelDownload> {
    const { name, file } = await this.exportOnnx(id);
    return { name: name.replace('.onnx', '-elsewhere.zip'), file, kept: null };
  }
  async previewMerge(parts: P.MergePart[], rank: number | null): Promise<P.MergePreview> {
    await wait(this.tickMs);
    return mergeOf(
      parts.map(({ run, weight }) => ({ run: this.list.get(run)!, weight })),
      rank,
    );
  }
  async exportMerge(
    parts: P.MergePart[],
    { as }: { as: 'adapter' | 'model' | 'onnx' },
  ): Promise<P.ModelDownload> {
    await wait(this.tickMs);
    const name = `merged-${parts.length}-adapters`;
    return {
      name: as === 'onnx' ? `${name}.onnx` : `${name}.zip`,
      file: new Blob([new Uint8Array(90_000)]),
      kept: null,
    };
  }
}
