import { type Copy, type Gpu, type Program, State, sizeOf } from '../../gpu-shaders/index.ts';
import type { Settings } from '../../models/describe.ts';
import { lowRankSpectrum } from '../../models/methods/math/lowRank.ts';
import type { AddedParameter, Attachment, Base, Method, Tensors } from '../../models/methods/method.ts';
import { startValue } from '../../models/methods/start.ts';
import type { Model } from '../../models/model.ts';
import { type Task, trainedParameters } from '../../models/tasks/index.ts';
import type { Profile, Spectrum } from '../protocol.ts';
import { groundwork } from './base.ts';
import { Checkpoints, freshProgress, type Progress, rateFactor } from './checkpoint.ts';
import { EVALUATION_BATCH, type Evaluated, Evaluation } from './evaluation.ts';
import { FeatureCache, type FeatureProgress, rowsOf } from './features.ts';
import { type ChosenKernels, chooseKernels, keepKernels, keptKernels } from './kernels.ts';
import { type Moment, Refreshing, type RunOn } from './live.ts';
import { Order, scheduledRate } from './order.ts';
import type { Dataset, Files, OnnxRuntime, SampleValues } from './ports.ts';
import { keepChoice, keptChoice, openPrefix, type Prefix, type PrefixPlace } from './prefix.ts';
import { fitProbe, type LabelledFeatures, type Probe } from './probe.ts';
import { kernelTimes, NoTimestampsError, productRate } from './profile.ts';
import {
  answersTokens,
  compileEvaluation,
  compileTraining,
  featureKey,
  frozenWeights,
  partsOf,
  type RunShape,
  taskOf,
  workOfStep,
} from './programs.ts';
import { type StepAt, writeStep } from './stepInputs.ts';
import { type TrainControl, type TrainEvents, type TrainOutcome, train } from './train.ts';
import { type WriteOptions, Writer } from './write.ts';

export interface SessionOptions {
  gpu: Gpu;
  files: Files;
  /** Identifies the backbone's weights, for the key of cached features. */
  backboneHash: string;
  model: Model;
  method: Method;
  settings: Settings;
  /** What is learnt; classification where it is not said. */
  task?: Task;
  dataset: Dataset;
  /** Where this run's checkpoints go, e.g. `runs/<id>/checkpoints`. */
  folder: string;
  /** Trained values to start from instead of drawn ones. */
  start?: Tensors;
  /** Computes the frozen prefix where the processor is faster at it than the GPU. */
  onnx?: OnnxRuntime;
  /** Where the prefix must be computed, whatever is faster. */
  prefix?: PrefixPlace;
  report(phase: string, progress: FeatureProgress): void;
}

/** A run on a GPU: its weights, programs, cached features and trained values. */
export class Session {
  readonly classes: number;
  private probeFitted: Probe | undefined;
  private trainStep: Promise<Program> | undefined;
  private refreshing: Refreshing | undefined;

  private constructor(
    readonly options: SessionOptions,
    readonly shape: RunShape,
    readonly state: State,
    readonly checkpoints: Checkpoints,
    readonly prefix: Prefix,
    /** The kernels that its programs are made of. */
    readonly kernels: ChosenKernels,
    private readonly evaluation: Evaluation,
    private readonly cache: FeatureCache,
  ) {
    this.classes = shape.classes;
    const { model, dataset, settings } = options;
    const size = model.sizeIn(settings);
    this.base = groundwork({
      state,
      model,
      dataset,
      size,
      task: taskOf(shape),
      probe: () => this.probe(),
    });
  }

  /** Uploads the frozen weights, compiles, and computes or reads the frozen features. */
  static async open(options: SessionOptions): Promise<Session> {
    const made: { destroy(): void }[] = [];
    try {
      return await Session.build({ ...options, model: options.model.holding(options.settings) }, made);
    } catch (error) {
      for (const part of made) part.destroy();
      throw error;
    }
  }

  /** What it makes on the GPU goes into `made` at once, to be destroyed where the rest fails or is cancelled. */
  private static async build(options: SessionOptions, made: { destroy(): void }[]): Promise<Session> {
    const { gpu, model, method, settings, dataset, files } = options;
    const attachment = method.attach(model, settings);
    const classes = dataset.classes.length;
    const { task } = options;
    const parameters = trainedParameters(model, attachment, classes, task);
    const shape: RunShape = { model, attachment, classes, settings, task };
    const state = new State(
      gpu,
      parameters.map((p) => ({ name: p.name, type: { shape: p.shape, dtype: 'f32' }, rule: p.rule })),
    );
    made.push(state);
    const paths = frozenWeights(shape);
    for (const [i, path] of paths.entries()) {
      options.report('Loading weights', { done: i, total: paths.length });
      await state.setFrozenPieces(path, model.bytesOf(path), model.pieces(path));
    }
    for (const { name, shape: sizes, dtype = 'f32' } of attachment.buffers ?? [])
      state.setMutable(name, dtype, new Float32Array(sizeOf(sizes)));
    options.report('Compiling kernels', { done: 0, total: 1 });
    const before = await keptKernels(files, options.folder);
    const kernels = await chooseKernels(gpu, files, before, workOfStep(shape));
    state.kernels = kernels.target;
    const kept = await keptChoice(files, options.folder);
    const place = options.prefix ?? kept?.place;
    const [prefix, program] = await Promise.all([
      openPrefix({ gpu, state, shape, place, onnx: options.onnx }),
      compileEvaluation(state, shape, EVALUATION_BATCH),
    ]);
    made.push(prefix, program);
    const cache = await FeatureCache.fill({
      gpu,
      files,
      key: featureKey({ ...options, shape, prefix: prefix.choice, kernels: kernels.target }),
      prefix,
      dataset,
      rows: rowsOf(dataset, settings),
      size: model.sizeIn(settings),
      seed: settings.seed as number,
      report: (p) => options.report('Computing frozen features', p),
    });
    const checkpoints = new Checkpoints(files, options.folder);
    const evaluation = new Evaluation(program, shape, dataset, prefix, cache);
    const session = new Session(options, shape, state, checkpoints, prefix, kernels, evaluation, cache);
    if (!(await checkpoints.kept())) await session.begin();
    return session;
  }

  /** Puts start values in place: those given, else the method's own. */
  private async begin(): Promise<void> {
    const { start, settings, report } = this.options;
    const tensors = [...this.parameters, ...(this.attachment.buffers ?? [])];
    for (const [i, tensor] of tensors.entries()) {
      report('Preparing the adapter', { done: i, total: tensors.length });
      const value = start?.get(tensor.name)?.data;
      this.state.writeTensor(
        tensor.name,
        value ?? (await startValue(tensor, settings.seed as number, this.base)),
      );
    }
  }

  /** The frozen model as the method may question it. */
  readonly base: Base;

  /** The values that training starts from. */
  async startTensors(): Promise<Tensors> {
    const { start, settings } = this.options;
    const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const t of [...this.parameters, ...(this.attachment.buffers ?? [])]) {
      const data = start?.get(t.name)?.data ?? (await startValue(t, settings.seed as number, this.base));
      tensors.set(t.name, { shape: t.shape, data });
    }
    return tensors;
  }

  /** Everything trained: the method's parameters and the head's. */
  get parameters(): AddedParameter[] {
    return trainedParameters(this.shape.model, this.attachment, this.classes, this.shape.task);
  }

  get attachment(): Attachment {
    return this.shape.attachment;
  }

  /** Positions of a split's samples, in the data set's order. */
  samplesOf(split: 'train' | 'val' | 'test'): number[] {
    return this.options.dataset.samples.flatMap((s, i) => (s.split === split && s.label >= 0 ? [i] : []));
  }

  /** Steps of the whole run. */
  get steps(): number {
    const { settings } = this.options;
    return Math.max(
      1,
      Math.round(
        ((settings.epochs as number) * this.samplesOf('train').length) / (settings.batch_size as number),
      ),
    );
  }

  /** Trains from the newest checkpoint, or from the start, until done, paused or stopped. */
  async run(control: TrainControl, events: TrainEvents): Promise<TrainOutcome> {
    const { files, folder } = this.options;
    await keepChoice(files, folder, this.prefix.choice);
    await keepKernels(files, folder, this.kernels);
    const kept = await this.checkpoints.restore(this.state);
    // A checkpoint that was there but cannot be read leaves nothing in place.
    if (!kept && (await this.checkpoints.kept())) await this.begin();
    const progress = kept ?? freshProgress(this.startKnobs());
    return train(this, progress, control, events);
  }

  /** Values of the knobs before anybody turned one: the method's own, and the learning rate. */
  startKnobs(): Record<string, number> {
    const own = this.attachment.knobs.map((k) => [k.name, k.value] as const);
    return Object.fromEntries([...own, ['lr', this.options.settings.lr as number]]);
  }

  /** The compiled training step; compiled when it is first asked for. */
  training(): Promise<Program> {
    this.trainStep ??= compileTraining(this.state, this.shape);
    return this.trainStep;
  }

  /** Submits one training step; the figures come later through the program's `collect`. */
  async step(step: number, order: Order, progress: Progress): Promise<{ lr: number }> {
    const lr = this.rate(step, progress);
    const program = await this.training();
    const { parts } = partsOf(this.options.settings);
    for (let part = 0; part < parts; part++)
      program.run(await this.load(program, step, order, progress, { lr, part, of: parts }));
    return { lr };
  }

  /** Whether the method acts after so many steps. */
  refreshDue(step: number): boolean {
    return this.attachment.refresh?.due(this.moment(step)) ?? false;
  }

  /** Lets the method act between two steps. */
  async refresh(order: Order, progress: Progress): Promise<void> {
    this.refreshing ??= new Refreshing(this.state, this.shape);
    const runOn: RunOn = async (program, step, part) =>
      program.run(await this.load(program, step, order, progress, { lr: 0, part, of: 1 }));
    await this.attachment.refresh?.apply(this.refreshing.at(this.moment(progress.step), runOn));
  }

  private moment(step: number): Moment {
    const epochSteps = Math.max(
      1,
      Math.ceil(this.samplesOf('train').length / (this.options.settings.batch_size as number)),
    );
    return { step, steps: this.steps, epochSteps };
  }

  /**
   * Times the step that is next after `progress` on the GPU. Whatever runs has no update: its rate is 0, and the
   * moments are put back. Throws `NoTimestampsError`.
   */
  async profile(progress: Progress): Promise<Profile> {
    const { settings, gpu } = this.options;
    const count = this.samplesOf('train').length;
    const order = new Order(
      count,
      settings.batch_size as number,
      settings.seed as number,
      settings.shuffle as boolean,
    );
    const step = Math.min(progress.step + 1, this.steps);
    const program = await this.training();
    const copies = await this.load(program, step, order, progress, { lr: 0, part: 0, of: 1 });
    const moments = ['moment1', 'moment2'] as const;
    const before = await Promise.all(moments.map((part) => this.state.readTrainables(part)));
    const kernels = await kernelTimes(program, copies);
    moments.forEach((part, i) => {
      this.state.writeTrainables(before[i], part);
    });
    if (!kernels) throw new NoTimestampsError(`${gpu.info.description} tells no time of its kernels.`);
    return { step: progress.step, kernels, productRate: await productRate(gpu) };
  }

  private rate(step: number, progress: Progress): number {
    const { settings } = this.options;
    const top = progress.knobs.lr * rateFactor(progress, step);
    return scheduledRate(settings.schedule as string, top, step, this.steps, settings.warmup as number);
  }

  /** Writes the inputs of a step, or of the part of it that is asked for; its cached features come by the copies. */
  private async load(
    t: Program,
    step: number,
    order: Order,
    progress: Progress,
    { lr, part, of }: { lr: number; part: number; of: number },
  ): Promise<Copy[]> {
    const { dataset } = this.options;
    const at: StepAt = { step, order: order.at(step), knobs: progress.knobs, lr, part, of };
    return this.cache.bring(t, writeStep(t, this.shape, dataset, this.samplesOf('train'), at));
  }

  /** Logits of samples under the current trained values and knobs; of tasks that give a sample one answer. */
  logits(samples: readonly number[], knobs: Record<string, number>): Promise<Float32Array[]> {
    return this.evaluation.logits(samples, knobs);
  }

  /** Whether every token is answered, and no sample as a whole. */
  get answersTokens(): boolean {
    return answersTokens(this.shape);
  }

  /** Does `work` with the start values in place of the trained ones, which it puts back. */
  async atStart<T>(work: () => Promise<T>): Promise<T> {
    const before = await this.state.readTensors();
    await this.begin();
    try {
      return await work();
    } finally {
      this.state.writeTensors(before);
    }
  }

  /** Mean loss of a split's answers, and how many `of` them are right. */
  evaluate(samples: readonly number[], knobs: Record<string, number>): Promise<Evaluated> {
    return this.evaluation.evaluate(samples, knobs);
  }

  /** Logits and frozen features of one sample that is in no data set. */
  predict(
    sample: SampleValues,
    knobs: Record<string, number>,
  ): Promise<{ logits: Float32Array; features: Float32Array }> {
    return this.evaluation.predict(sample, knobs);
  }

  /** Tokens that follow `prompt`, as they come, with the adapter or without it. Throws `TaskError` where it cannot write. */
  async *write(prompt: readonly number[], adapted: boolean, options: WriteOptions): AsyncGenerator<number> {
    const { model } = this.shape;
    const capacity = Math.min(model.backbone.size(model.config).max, prompt.length + options.tokens);
    const writer = await Writer.open(this.state, model, adapted ? this.attachment : null, capacity);
    try {
      yield* writer.write(prompt, options);
    } finally {
      writer.destroy();
    }
  }

  /** Frozen features and labels of a split. */
  labelled(split: 'train' | 'val' | 'test'): LabelledFeatures {
    const samples = this.samplesOf(split);
    return {
      features: samples.map((i) => this.cache.features[i]),
      labels: samples.map((i) => this.options.dataset.samples[i].label),
    };
  }

  /** The tuned linear probe on the frozen features; fitted once. */
  probe(): Probe {
    this.probeFitted ??= fitProbe(this.labelled('train'), this.labelled('val'), this.classes);
    return this.probeFitted;
  }

  /** Takes a probe that was fitted elsewhere from this session's features, so that none is fitted here. */
  takeProbe(probe: Probe): void {
    this.probeFitted = probe;
  }

  /** Puts the newest checkpoint's weights in place; null where there is none. */
  takeLast(): Promise<Progress | null> {
    return this.checkpoints.restore(this.state);
  }

  /** Puts the best validated weights in place of the last ones, where there was validation. */
  async takeBest(): Promise<void> {
    const best = await this.checkpoints.best();
    if (best) this.state.writeTensors(best);
  }

  /** Current trained values with their shapes, the head's and the method's buffers among them. */
  async trained(): Promise<Tensors> {
    const values = await this.state.readTensors();
    const tensors = [...this.parameters, ...(this.attachment.buffers ?? [])];
    return new Map(tensors.map((p) => [p.name, { shape: p.shape, data: values.get(p.name)! }]));
  }

  /** Singular values of the updates, where the method's are of low rank. */
  async spectra(): Promise<Spectrum[]> {
    const { method, settings, model } = this.options;
    const updates = method.toLowRank?.(this.attachment, settings, await this.trained()) ?? [];
    return updates.map(({ path, a, b, scale }) => ({
      path,
      shape: model.modules.find((m) => m.path === path)!.shape,
      values: lowRankSpectrum(a, b, scale),
    }));
  }

  destroy(): void {
    for (const p of [this.prefix, this.evaluation]) p.destroy();
    void this.trainStep?.then((p) => p.destroy());
    this.refreshing?.destroy();
    this.cache.destroy();
    this.state.destroy();
  }
}
