import { control as controlField } from '../../gpu-shaders/train/optimiser.ts';
import type { AddedParameter, Attachment, Method, Tensors } from '../../models/methods/method.ts';
import { noBase, startValue } from '../../models/methods/start.ts';
import { headParameters, TaskError } from '../../models/tasks/index.ts';
import type { Profile, Spectrum, Split } from '../protocol.ts';
import type { ReferenceWorker } from '../reference.ts';
import {
  Checkpoints,
  freshProgress,
  type Progress,
  rateFactor,
  type TrainedState,
} from '../session/checkpoint.ts';
import { loadRows } from '../session/features.ts';
import { argmax, crossEntropyOf, softmax } from '../session/metrics.ts';
import { type Order, scheduledRate } from '../session/order.ts';
import type { Dataset, SampleValues } from '../session/ports.ts';
import { fitProbe, type LabelledFeatures, type Probe } from '../session/probe.ts';
import { NoTimestampsError } from '../session/profile.ts';
import type { RunShape } from '../session/programs.ts';
import { type TrainControl, type TrainEvents, type TrainOutcome, train } from '../session/train.ts';
import { BackboneError } from './backbones.ts';
import { stepsOf } from './estimate.ts';
import { type BackboneRunner, runnerOf } from './runner.ts';
import type { OpenOptions, RunSession, Trainer } from './trainer.ts';

/** Samples that ONNX Runtime takes at a time. */
const batchSize = 8;
/** Rows of features in one stored file. */
const rowsPerFile = 64;

type Parts = 'values' | 'moment1' | 'moment2';

/** The head's values and moments as arrays. */
class HeadState implements TrainedState {
  readonly parts: Record<Parts, Map<string, Float32Array>> = {
    values: new Map(),
    moment1: new Map(),
    moment2: new Map(),
  };

  constructor(parameters: readonly { name: string; data: Float32Array }[]) {
    for (const { name, data } of parameters) {
      this.parts.values.set(name, data);
      this.parts.moment1.set(name, new Float32Array(data.length));
      this.parts.moment2.set(name, new Float32Array(data.length));
    }
  }

  async readTrainables(part: Parts = 'values'): Promise<Map<string, Float32Array>> {
    return new Map([...this.parts[part]].map(([name, data]) => [name, data.slice()]));
  }

  writeTrainables(values: ReadonlyMap<string, Float32Array>, part: Parts = 'values'): void {
    for (const [name, data] of values) this.parts[part].set(name, data.slice());
  }

  /** The head is all that changes. */
  readTensors(): Promise<Map<string, Float32Array>> {
    return this.readTrainables();
  }

  writeTensors(values: ReadonlyMap<string, Float32Array>): void {
    this.writeTrainables(values);
  }
}

/** A linear probe trained on the processor, on features from ONNX Runtime: what there is without WebGPU. */
export class CpuSession implements RunSession {
  readonly classes: number;
  readonly attachment: Attachment;
  readonly base = noBase;
  readonly state: HeadState;
  readonly checkpoints: Checkpoints;
  readonly options: RunSession['options'];
  readonly shape: RunShape;
  readonly #runner: BackboneRunner;
  readonly #features: Float32Array[];
  readonly #names: { weight: string; bias: string };
  readonly #figures: Record<'loss' | 'hits' | 'control', Float32Array>[] = [];
  #probe: Probe | undefined;

  private constructor(
    options: OpenOptions,
    runner: BackboneRunner,
    features: Float32Array[],
    head: { name: string; data: Float32Array }[],
  ) {
    const { backbone, method, settings, dataset } = options;
    const { model } = backbone;
    this.options = { ...options, model, backboneHash: backbone.hash };
    this.attachment = method.attach(model, settings);
    this.classes = dataset.classes.length;
    this.shape = { model, attachment: this.attachment, classes: this.classes, settings };
    this.checkpoints = new Checkpoints(options.files, options.folder);
    this.#runner = runner;
    this.#features = features;
    this.#names = { weight: head[0].name, bias: head[1].name };
    this.state = new HeadState(head);
  }

  static async open(options: OpenOptions, reference: ReferenceWorker): Promise<CpuSession> {
    const { backbone, dataset, settings, start } = options;
    const head = [];
    for (const p of headParameters(backbone.model, dataset.classes.length)) {
      const drawn = await startValue(p, settings.seed as number, noBase);
      head.push({ name: p.name, data: start?.get(p.name)?.data ?? drawn });
    }
    options.report('Loading weights', { done: 0, total: 1 });
    const runner = await runnerOf(backbone, reference, backbone.model.sizeIn(settings));
    try {
      return new CpuSession(options, runner, await frozenFeatures(options, runner), head);
    } catch (error) {
      await runner.close();
      throw error;
    }
  }

  get steps(): number {
    return stepsOf(this.options.settings, this.samplesOf('train').length);
  }

  async training() {
    return { collect: async () => this.#figures.shift()! };
  }

  get parameters(): AddedParameter[] {
    return headParameters(this.shape.model, this.classes);
  }

  samplesOf(split: Split): number[] {
    return this.options.dataset.samples.flatMap((s, i) => (s.split === split && s.label >= 0 ? [i] : []));
  }

  startKnobs(): Record<string, number> {
    return { lr: this.options.settings.lr as number };
  }

  async run(control: TrainControl, events: TrainEvents): Promise<TrainOutcome> {
    const progress = (await this.takeLast()) ?? freshProgress(this.startKnobs());
    return train(this, progress, control, events);
  }

  async step(step: number, order: Order, progress: Progress): Promise<{ lr: number }> {
    const { settings, dataset } = this.options;
    const train = this.samplesOf('train');
    const batch = order.at(step).map(({ position }) => train[position]);
    const rate = progress.knobs.lr * rateFactor(progress, step);
    const lr = scheduledRate(settings.schedule as string, rate, step, this.steps, settings.warmup as number);
    const labels = batch.map((sample) => dataset.samples[sample].label);
    this.#figures.push(this.#update(batch, labels, step, lr));
    // The page's commands are heard between steps.
    if (step % 16 === 0) await new Promise((resolve) => setTimeout(resolve));
    return { lr };
  }

  /** One step of AdamW (Loshchilov and Hutter, 2019, algorithm 2) on the mean cross-entropy of a batch. */
  #update(batch: readonly number[], labels: readonly number[], step: number, lr: number) {
    const width = this.#features[batch[0]].length;
    const {
      weight_decay: decay,
      clip,
      label_smoothing: smoothing,
    } = this.options.settings as Record<string, number>;
    const gradient = {
      weight: new Float32Array(this.classes * width),
      bias: new Float32Array(this.classes),
    };
    const hits = new Float32Array(batch.length);
    let loss = 0;
    batch.forEach((sample, i) => {
      const x = this.#features[sample];
      const logits = this.#logitsOf(x);
      const p = softmax(logits);
      hits[i] = argmax(logits) === labels[i] ? 1 : 0;
      for (let c = 0; c < this.classes; c++) {
        const target = (c === labels[i] ? 1 - smoothing : 0) + smoothing / this.classes;
        loss -= (target * Math.log(Math.max(p[c], 1e-30))) / batch.length;
        const d = (p[c] - target) / batch.length;
        gradient.bias[c] += d;
        for (let j = 0; j < width; j++) gradient.weight[c * width + j] += d * x[j];
      }
    });
    const squares = (values: Float32Array) => values.reduce((sum, g) => sum + g * g, 0);
    const norm = Math.sqrt(squares(gradient.weight) + squares(gradient.bias));
    const factor = clip > 0 && norm > clip ? clip / norm : 1;
    for (const part of ['weight', 'bias'] as const) {
      const name = this.#names[part];
      const { values, moment1, moment2 } = this.state.parts;
      const [w, m, v] = [values.get(name)!, moment1.get(name)!, moment2.get(name)!];
      for (let i = 0; i < w.length; i++) {
        const g = gradient[part][i] * factor;
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        const update = m[i] / (1 - 0.9 ** step) / (Math.sqrt(v[i] / (1 - 0.999 ** step)) + 1e-8);
        w[i] -= lr * (update + decay * w[i]);
      }
    }
    const control = new Float32Array(4);
    control[controlField.norm] = norm;
    return { loss: Float32Array.of(loss), hits, control };
  }

  #logitsOf(x: Float32Array): Float32Array {
    const { values } = this.state.parts;
    const [w, b] = [values.get(this.#names.weight)!, values.get(this.#names.bias)!];
    return Float32Array.from(b, (bias, c) => {
      let sum = bias;
      for (let j = 0; j < x.length; j++) sum += w[c * x.length + j] * x[j];
      return sum;
    });
  }

  async logits(samples: readonly number[]): Promise<Float32Array[]> {
    return samples.map((sample) => this.#logitsOf(this.#features[sample]));
  }

  async evaluate(samples: readonly number[]) {
    const logits = await this.logits(samples);
    const labels = samples.map((sample) => this.options.dataset.samples[sample].label);
    const predicted = logits.map(argmax);
    const loss = logits.reduce((sum, l, i) => sum + crossEntropyOf(l, labels[i]), 0);
    return {
      loss: loss / Math.max(1, samples.length),
      hits: predicted.filter((p, i) => p === labels[i]).length,
      of: samples.length,
    };
  }

  async predict(sample: SampleValues) {
    const features = await this.#runner.features([sample]);
    return { logits: this.#logitsOf(features), features };
  }

  labelled(split: Split): LabelledFeatures {
    const samples = this.samplesOf(split);
    return {
      features: samples.map((sample) => this.#features[sample]),
      labels: samples.map((sample) => this.options.dataset.samples[sample].label),
    };
  }

  probe(): Probe {
    this.#probe ??= fitProbe(this.labelled('train'), this.labelled('val'), this.classes);
    return this.#probe;
  }

  takeProbe(probe: Probe): void {
    this.#probe = probe;
  }

  readonly answersTokens = false;

  // biome-ignore lint/correctness/useYield: what cannot write refuses when it is asked to.
  async *write(): AsyncGenerator<number> {
    throw new TaskError('Texts are written on WebGPU, which this browser does not offer.');
  }

  async startTensors(): Promise<Tensors> {
    const { settings, start } = this.options;
    const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const p of this.parameters) {
      const data = start?.get(p.name)?.data ?? (await startValue(p, settings.seed as number, noBase));
      tensors.set(p.name, { shape: p.shape, data });
    }
    return tensors;
  }

  async atStart<T>(work: () => Promise<T>): Promise<T> {
    const before = await this.state.readTensors();
    const start = await this.startTensors();
    this.state.writeTensors(new Map([...start].map(([name, { data }]) => [name, data])));
    try {
      return await work();
    } finally {
      this.state.writeTensors(before);
    }
  }

  takeLast(): Promise<Progress | null> {
    return this.checkpoints.restore(this.state);
  }

  async takeBest(): Promise<void> {
    const best = await this.checkpoints.best();
    if (best) this.state.writeTensors(best);
  }

  async trained(): Promise<Tensors> {
    const shapes = new Map(this.parameters.map(({ name, shape }) => [name, shape]));
    return new Map(
      [...this.state.parts.values].map(([name, data]) => [
        name,
        { shape: shapes.get(name)!, data: data.slice() },
      ]),
    );
  }

  async spectra(): Promise<Spectrum[]> {
    return [];
  }

  async profile(): Promise<Profile> {
    throw new NoTimestampsError('The processor trains here: there are no GPU kernels to time.');
  }

  destroy(): void {
    this.#features.length = 0;
    void this.#runner.close();
  }
}

/** Features of every picture by ONNX Runtime, kept in storage; a stop loses at most one file of them. */
async function frozenFeatures(options: OpenOptions, runner: BackboneRunner): Promise<Float32Array[]> {
  const { backbone, dataset, settings, files, report } = options;
  const size = backbone.model.sizeIn(settings);
  const folder = `features/${backbone.hash}-${dataset.hash}-${size}-onnx`;
  const width = backbone.model.backbone.featureSize(backbone.model.config);
  const total = dataset.samples.length;
  const rows: Float32Array[] = [];
  for (let from = 0; from < total; from += rowsPerFile) {
    report('Computing frozen features', { done: from, total });
    const name = `${folder}/${from / rowsPerFile}`;
    const count = Math.min(rowsPerFile, total - from);
    const stored = await files.read(name);
    const usable = stored?.length === count * width * 4;
    const values = usable
      ? new Float32Array(stored.slice().buffer)
      : await computed(dataset, from, count, size, width, runner);
    if (!usable) await files.write(name, new Uint8Array(values.buffer));
    for (let i = 0; i < count; i++) rows.push(values.slice(i * width, (i + 1) * width));
  }
  report('Computing frozen features', { done: total, total });
  return rows;
}

async function computed(
  dataset: Dataset,
  from: number,
  count: number,
  size: number,
  width: number,
  runner: BackboneRunner,
): Promise<Float32Array> {
  const values = new Float32Array(count * width);
  for (let i = 0; i < count; i += batchSize) {
    const batch = Array.from({ length: Math.min(batchSize, count - i) }, (_, j) => ({
      sample: from + i + j,
      view: 0,
    }));
    const loaded = await loadRows(dataset, batch, size, 0);
    values.set(await runner.features(loaded), i * width);
  }
  return values;
}

/** Trains on the processor; offers the linear probe alone. */
export class CpuTrainer implements Trainer {
  readonly backend = 'wasm';
  readonly name = 'the processor (WebAssembly)';
  readonly software = true;
  readonly features = [];
  readonly limits = { maxBufferBytes: 0, maxBindingBytes: 2 ** 27 };
  readonly #reference: ReferenceWorker;

  constructor(reference: ReferenceWorker) {
    this.#reference = reference;
  }

  accept({ card }: Method): void {
    if (card.id === 'linear-probe') return;
    throw new BackboneError(
      `${card.title} trains on WebGPU, which this browser does not offer.`,
      'Choose the linear probe, or open this page in a browser with WebGPU.',
    );
  }

  async open(options: OpenOptions): Promise<RunSession> {
    this.accept(options.method);
    return CpuSession.open(options, this.#reference);
  }

  async ready(): Promise<void> {}

  holds(): boolean {
    return true;
  }

  lost(): Promise<string> {
    return new Promise(() => undefined);
  }

  async renew(): Promise<void> {}
}
