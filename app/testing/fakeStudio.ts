import type * as P from '../../workers/protocol.ts';
import { backbones, catalogue } from './fakeCatalogue.ts';
import { applyEdit, fashion, recount, understand, wilson } from './fakeData.ts';
import { estimateOf } from './fakeEstimate.ts';
import { picture } from './fakePictures.ts';
import { compared, queueOf, reachedOf, waiting } from './fakeRuns.ts';
import { cutOf, grow, masksOf, profileOf, reportOf, sharesOf, spectraOf } from './fakeScores.ts';

/** Where the stand-in begins: each is a state of the studio that a picture or a test wants. */
export type Scene =
  | 'empty'
  | 'data'
  | 'running'
  | 'paused'
  | 'sparse'
  | 'compare'
  | 'queue'
  | 'done'
  | 'interrupted'
  | 'failed'
  | 'imported'
  | 'nogpu'
  | 'lost'
  | 'opening'
  | 'broken'
  | 'importing';

const STEPS = 280;
const storedOf = (title: string): P.StoredBackbone => ({
  id: `hub-${title}`,
  title,
  source: `${title}, commit 1234567890ab, from https://hub.example`,
  bytes: 9.1e7,
  missingBytes: 0,
  runs: 1,
  request: null,
});
const clone = <T>(value: T): T => structuredClone(value);
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** An engine that computes nothing and answers everything, in the page, on a timer. */
export class FakeStudio implements P.Studio {
  private listen: (event: P.StudioEvent) => void = () => undefined;
  private sets = new Map<string, P.DatasetView[]>();
  private removed = new Map<string, P.DatasetView[] | P.RunView>();
  private list = new Map<string, P.RunView>();
  private points = new Map<string, P.RunCurves>();
  private timers = new Map<string, ReturnType<typeof setInterval>>();
  private stored: P.StoredBackbone[] = [
    storedOf('example/small-vit'),
    {
      ...storedOf('example/large-vit'),
      missingBytes: 2.1e8,
      request: { model: 'example/large-vit', hub: '' },
    },
  ];
  private gone: P.StoredBackbone[] = [];
  private edits = 0;
  private moves = false;

  constructor(
    private scene: Scene = 'empty',
    private tickMs = 100,
  ) {}

  async open(listen: (event: P.StudioEvent) => void): Promise<P.Machine> {
    this.listen = listen;
    if (this.scene === 'opening') await new Promise(() => undefined);
    if (this.scene === 'broken')
      throw Object.assign(new Error('The browser gave a GPU device and took it back at once.'), {
        name: 'DeviceFailed',
        advice: 'Close other pages that use the GPU, then reload this one.',
      });
    this.prepare();
    const none = this.scene === 'nogpu';
    return {
      backend: none ? 'wasm' : 'webgpu',
      adapter: none ? '' : 'Example vendor, example architecture',
      software: false,
      features: none ? [] : ['shader-f16', 'subgroups', 'timestamp-query'],
      limits: { maxBufferBytes: none ? 0 : 2 ** 31, maxBindingBytes: none ? 0 : 2 ** 30 },
      crossOriginIsolated: true,
      storage: await this.storage(),
      ...(none
        ? {
            noWebGpu: {
              name: 'NoWebGpu',
              message: 'This browser has WebGPU, but found no adapter it may use.',
              advice: 'Turn hardware acceleration on in the browser’s settings and reload.',
            },
          }
        : {}),
    };
  }

  private prepare(): void {
    const { scene } = this;
    if (scene !== 'empty' && scene !== 'importing' && scene !== 'nogpu' && scene !== 'imported')
      this.sets.set('fashion', [fashion()]);
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
    if (scene === 'interrupted') make('r1', 'fashion, rank 8', 'interrupted', 150, 4_000_000);
    if (scene === 'sparse')
      make('r1', 'fashion, two in a hundred', 'paused', 120, 60_000, { method: 'shira' });
    if (scene === 'paused') make('r1', 'fashion, rank 8', 'paused', 120, 60_000);
    if (scene === 'failed') {
      const run = make('r1', 'fashion, rank 64', 'failed', 12, 60_000);
      run.error = {
        name: 'OutOfMemory',
        message: 'The GPU ran out of memory at step 12: the plan needs 6.1 GB, the device has 4.0 GB.',
        advice:
          'Lower the batch size to 8 or the picture size to 160, and train again. The data and the knobs are kept.',
      };
    }
    if (scene === 'running' || scene === 'lost' || scene === 'queue')
      this.start(make('r1', 'fashion, rank 8', 'running', 120, 30_000));
    if (scene === 'imported') {
      const run = make('r2', 'signs-lora-r8', 'imported', STEPS, 60_000);
      delete run.probe;
    }
    if (scene === 'lost')
      setTimeout(
        () =>
          this.listen({
            kind: 'device-lost',
            recovered: true,
            error: {
              name: 'DeviceLost',
              message: 'The GPU device was lost (the driver restarted) and was opened again.',
              advice: 'The run went on from its last checkpoint, step 112. Nothing needs doing.',
            },
          }),
        50,
      );
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
  async datasets() {
    return [...this.sets.values()].map((history) => clone(history.at(-1)!));
  }

  async editDataset(id: string, edit: P.DatasetEdit): Promise<P.DatasetView> {
    const d = clone(this.sets.get(id)!.at(-1)!);
    applyEdit(d, edit);
    return this.push(id, d);
  }
  private push(id: string, d: P.DatasetView): P.DatasetView {
    const next = { ...recount(d), hash: `h${++this.edits}`, canUndo: true };
    this.sets.get(id)!.push(next);
    return clone(next);
  }
  async undoDatasetEdit(id: string) {
    const history = this.sets.get(id)!;
    if (history.length > 1) history.pop();
    return clone({ ...history.at(-1)!, canUndo: history.length > 1 });
  }
  async addSample(id: string | null, className: string) {
    if (id === null) {
      id = `d${++this.edits}`;
      this.sets.set(id, [{ ...fashion(), id, name: 'Webcam', classes: [], rejected: [], notes: [] }]);
    }
    const d = clone(this.sets.get(id)!.at(-1)!);
    let c = d.classes.find((k) => k.name === className);
    if (!c) {
      c = { index: 0, name: className, counts: { train: 0, val: 0, test: 0 } };
      d.classes.push(c);
    }
    c.counts.train++;
    return this.push(id, d);
  }
  async removeDataset(id: string) {
    this.removed.set(id, this.sets.get(id)!);
    this.sets.delete(id);
  }
  async restoreDataset(id: string) {
    const kept = this.removed.get(id) as P.DatasetView[];
    this.sets.set(id, kept);
    return clone(kept.at(-1)!);
  }
  async original(): Promise<Blob> {
    return picture(0, 0);
  }
  async thumbnails(id: string, classIndex: number, from: number, count: number): Promise<P.Thumbnail[]> {
    const c = this.sets.get(id)!.at(-1)!.classes[classIndex]!;
    const n = Math.max(0, Math.min(count, c.counts.train + c.counts.val + c.counts.test - from));
    return Promise.all(
      Array.from({ length: n }, async (_, i) => {
        const at = from + i;
        const split = at < c.counts.train ? 'train' : at < c.counts.train + c.counts.val ? 'val' : 'test';
        return {
          sample: classIndex * 1000 + at,
          path: `${c.name}/${at}.png`,
          split,
          seconds: null,
          image: await picture(classIndex, at),
        } as const;
      }),
    );
  }
  async loadFromHub({ model }: P.HubRequest) {
    for (let i = 0; i < 10; i++) {
      const progress = { phase: 'Loading from the hub', done: i * 9e6, total: 9e7, unit: 'bytes' };
      const pace = { perSecond: 9e6, secondsLeft: 10 - i };
      this.listen({ kind: 'progress', job: 'hub', progress: { ...progress, ...pace } });
      await wait(this.tickMs);
    }
    this.stored.push(storedOf(model));
    return { ...backbones[0]!, title: model };
  }

  async storedBackbones() {
    return clone(this.stored);
  }

  async removeBackbone(id: string) {
    this.gone = this.stored.filter((b) => b.id === id);
    this.stored = this.stored.filter((b) => b.id !== id);
  }

  async restoreBackbone() {
    this.stored.push(...this.gone);
  }

  async neighbours(dataset: string, backbone: string): Promise<P.NeighbourScore> {
    await wait(this.tickMs * 3);
    return { ...wilson(106, 150), dataset, backbone, k: 5 };
  }

  private settings(method: string) {
    const card = catalogue.methods.find((m) => m.id === method)!;
    return Object.fromEntries([...card.settings, ...catalogue.training].map((s) => [s.key, s.default]));
  }
  async defaults(_: string | null, backbone: string, method: string) {
    return { ...this.settings(method), ...backbones.find((b) => b.id === backbone)!.defaults };
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
    return reportOf(run);
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
  async cutRanks(id: string, ranks: Record<string, number>): Promise<P.RankCut> {
    await wait(this.tickMs);
    return cutOf(this.list.get(id)!, ranks);
  }
  async profile(id: string): Promise<P.Profile> {
    await wait(this.tickMs * 5);
    return profileOf(this.list.get(id)!);
  }
  async predict(id: string, image: Blob): Promise<P.Prediction> {
    const { classes, state } = this.list.get(id)!;
    await wait(this.tickMs);
    return {
      classes,
      withAdapter: sharesOf(classes, 1.9),
      withoutAdapter: state === 'imported' ? null : sharesOf(classes, 0.22),
      thumbnail: image,
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
  async exportOnnx(id: string): Promise<P.OnnxDownload> {
    await wait(this.tickMs);
    const name = this.list.get(id)!.name.replaceAll(/[^a-z0-9]+/gi, '-');
    return { name: `${name}.onnx`, onnx: new Blob([new Uint8Array(7_100_000)]), kept: null };
  }
  async check(): Promise<P.ReferenceCheck> {
    await wait(this.tickMs * 5);
    return { maxRelativeError: 2.3e-6, samples: 8, tolerance: 1e-4, passed: true };
  }
  async cancel() {}
}
