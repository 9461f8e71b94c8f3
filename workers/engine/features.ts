import { sizeOf } from '../../gpu-shaders/index.ts';
import { hash32, uniform } from '../../models/data/hash.ts';
import { linearProbe } from '../../models/methods/linearProbe.ts';
import type { Model } from '../../models/model.ts';
import type { Pool } from '../datasets/jobs.ts';
import { storedSamples } from '../datasets/pictures.ts';
import type { DatasetStore } from '../datasets/store.ts';
import type { NeighbourScore, ReferenceCheck, StudioEvent } from '../protocol.ts';
import type { ReferenceWorker } from '../reference.ts';
import { Cancelled } from '../session/features.ts';
import { score } from '../session/metrics.ts';
import type { Dataset, Files } from '../session/ports.ts';
import type { PrefixPlace } from '../session/prefix.ts';
import { defaultSettings } from '../settings.ts';
import { BackboneError, type Backbones } from './backbones.ts';
import { Pace } from './pace.ts';
import { runnerOf } from './runner.ts';
import type { RunSession, Trainer } from './trainer.ts';

interface Ports {
  readonly files: Files;
  readonly pool: Pool;
  readonly datasets: DatasetStore;
  readonly backbones: Backbones;
  readonly trainer: Trainer;
  readonly reference: ReferenceWorker;
  tell(event: StudioEvent): void;
  tick(): number;
  newId(): string;
}

/** Neighbours that vote. */
const neighbours = 5;
/** Inputs that a check compares, and how far it may be off. */
const checked = 4;
const tolerance = 1e-4;

/** What is asked of a frozen backbone alone. */
export class Features {
  readonly #ports: Ports;
  readonly #known = new Map<string, NeighbourScore>();
  readonly #cancelled = new Set<string>();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  cancel(job: string): void {
    this.#cancelled.add(job);
  }

  /** Scores nearest neighbours on the validation pictures, on those of the test where there are none. */
  async neighbours(datasetId: string, backboneId: string, size: number): Promise<NeighbourScore> {
    const { datasets, backbones, files, pool, reference, tell } = this.#ports;
    const { rows, edited } = await datasets.open(datasetId);
    const key = JSON.stringify([edited.hash, backboneId, size]);
    const known = this.#known.get(key);
    if (known) return { ...known, dataset: datasetId };
    const dataset = storedSamples(edited, rows, { files, pool }, await backbones.open(backboneId));
    const session = await this.#open('neighbours', backboneId, size, dataset);
    try {
      const train = session.labelled('train');
      const val = session.labelled('val');
      const held = val.labels.length > 0 ? val : session.labelled('test');
      const k = Math.min(neighbours, train.labels.length);
      const hits = await reference.neighbourHits(train, held, session.classes, k);
      const found: NeighbourScore = {
        ...score(hits, held.labels.length),
        dataset: datasetId,
        backbone: backboneId,
        k,
      };
      this.#known.set(key, found);
      tell({ kind: 'neighbours', score: found });
      return found;
    } finally {
      session.destroy();
    }
  }

  /** Compares our frozen features with ONNX Runtime's on inputs of the backbone's own size. */
  async check(backboneId: string): Promise<ReferenceCheck> {
    const { backbones, reference, files, trainer, newId } = this.#ports;
    if (trainer.backend !== 'webgpu')
      throw new BackboneError(
        'Without WebGPU it is ONNX Runtime that runs the backbone, so there is nothing to compare with it.',
        'Open this page in a browser with WebGPU.',
      );
    const backbone = await backbones.open(backboneId);
    const { card, hash } = backbone;
    const size = card.size.default;
    const dataset = examples(`check-${newId()}`, backbone.model);
    const oracle = await runnerOf(backbone, reference, size);
    try {
      const session = await this.#open('check', backboneId, size, dataset, 'gpu');
      const { features } = session.labelled('train');
      session.destroy();
      let [furthest, largest] = [0, 0];
      for (let sample = 0; sample < checked; sample++) {
        const expected = await oracle.features(await dataset.load([sample], size, null));
        expected.forEach((value, i) => {
          furthest = Math.max(furthest, Math.abs(value - features[sample][i]));
          largest = Math.max(largest, Math.abs(value));
        });
      }
      const maxRelativeError = furthest / Math.max(largest, 1e-12);
      return { maxRelativeError, samples: checked, tolerance, passed: maxRelativeError <= tolerance };
    } finally {
      await oracle.close();
      // Each check computes anew, under a name of its own.
      await files.remove(`features/${hash}-${dataset.hash}`);
    }
  }

  async #open(
    job: string,
    backboneId: string,
    size: number,
    dataset: Dataset,
    prefix?: PrefixPlace,
  ): Promise<RunSession> {
    const { backbones, trainer, files, tell, tick, newId } = this.#ports;
    this.#cancelled.delete(job);
    const pace = new Pace(tick);
    const report = (phase: string, done: number, total: number, unit: string) => {
      if (this.#cancelled.has(job)) throw new Cancelled('It was stopped; what is computed so far is kept.');
      tell({ kind: 'progress', job, progress: pace.progress(phase, done, total, unit) });
    };
    const backbone = await backbones.open(backboneId);
    await backbone.fetch((done, total) => report('Fetching the backbone', done, total, 'bytes'));
    await trainer.ready();
    const settings = {
      ...defaultSettings(linearProbe, backbone.model, dataset.samples.length),
      [backbone.card.size.setting]: size,
    };
    return trainer.open({
      files,
      backbone,
      method: linearProbe,
      settings,
      dataset,
      prefix,
      // Nothing is trained, so nothing is ever written there.
      folder: `scratch/${newId()}`,
      report: (phase, { done, total }) => report(phase, done, total, 'pictures'),
    });
  }
}

/** Inputs to compare on, as a data set. */
function examples(hash: string, model: Model): Dataset {
  const samples = Array.from({ length: checked }, (_, i) => ({
    path: `example ${i}`,
    label: 0,
    split: 'train' as const,
  }));
  return {
    classes: ['a', 'b'],
    samples,
    hash,
    load: async (wanted, size) =>
      wanted.map((sample) =>
        Object.fromEntries(
          model.sampleInputs(size).map(({ name, shape, dtype }) => [
            name,
            // Any token is as good as another, among those that every vocabulary has.
            dtype === 'u32' ? tokens(sample, shape) : name === 'mask' ? ones(shape) : waves(sample, shape),
          ]),
        ),
      ),
  };
}

const tokens = (sample: number, shape: readonly number[]) =>
  Uint32Array.from({ length: sizeOf(shape) }, (_, i) => hash32(sample, i) % 2);

const ones = (shape: readonly number[]) => new Float32Array(sizeOf(shape)).fill(1);

/** Smooth waves over the last two axes, as different for each sample as photos are, around 0. */
function waves(sample: number, shape: readonly number[]): Float32Array {
  const [height, width] = shape.slice(-2);
  const stream = hash32(sample, 1);
  const draw = (n: number, low: number, high: number) => low + (high - low) * uniform(stream, n);
  const parts = Array.from({ length: 6 }, (_, n) => ({
    x: draw(4 * n, -0.3, 0.3),
    y: draw(4 * n + 1, -0.3, 0.3),
    phase: draw(4 * n + 2, 0, 2 * Math.PI),
    height: draw(4 * n + 3, 0.2, 0.8),
  }));
  return Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
    const [x, y, channel] = [i % width, Math.floor(i / width) % height, Math.floor(i / (width * height))];
    return parts.reduce(
      (sum, w) => sum + w.height * Math.sin(w.x * x + w.y * y + w.phase * (channel + 1)),
      0,
    );
  });
}
