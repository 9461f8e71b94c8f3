import { hash32, uniform } from '../../models/data/hash.ts';
import { linearProbe } from '../../models/methods/linearProbe.ts';
import type { Pool } from '../datasets/jobs.ts';
import { StoredPictures } from '../datasets/pictures.ts';
import type { DatasetStore } from '../datasets/store.ts';
import type { NeighbourScore, ReferenceCheck, StudioEvent } from '../protocol.ts';
import type { ReferenceWorker } from '../reference.ts';
import { Cancelled } from '../session/features.ts';
import { score } from '../session/metrics.ts';
import type { Files, Pictures } from '../session/ports.ts';
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
  async neighbours(dataset: string, backboneId: string, side: number): Promise<NeighbourScore> {
    const { datasets, backbones, files, pool, reference, tell } = this.#ports;
    const { rows, edited } = await datasets.open(dataset);
    const key = JSON.stringify([edited.hash, backboneId, side]);
    const known = this.#known.get(key);
    if (known) return { ...known, dataset };
    const { preprocessor } = await backbones.open(backboneId);
    const pictures = new StoredPictures(edited, rows, { files, pool }, preprocessor);
    const session = await this.#open('neighbours', backboneId, side, pictures);
    try {
      const train = session.labelled('train');
      const val = session.labelled('val');
      const held = val.labels.length > 0 ? val : session.labelled('test');
      const k = Math.min(neighbours, train.labels.length);
      const hits = await reference.neighbourHits(train, held, session.classes, k);
      const found: NeighbourScore = { ...score(hits, held.labels.length), dataset, backbone: backboneId, k };
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
    const side = card.imageSize.default;
    const pictures = waves(`check-${newId()}`);
    const oracle = await runnerOf(backbone, reference, side);
    try {
      const session = await this.#open('check', backboneId, side, pictures, 'gpu');
      const { features } = session.labelled('train');
      session.destroy();
      let [furthest, largest] = [0, 0];
      for (let sample = 0; sample < checked; sample++) {
        const expected = await oracle.features(wave(sample, side), 1);
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
      await files.remove(`features/${hash}-${pictures.hash}`);
    }
  }

  async #open(
    job: string,
    backboneId: string,
    side: number,
    pictures: Pictures,
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
      ...defaultSettings(linearProbe, backbone.model, pictures.samples.length),
      image_size: side,
    };
    return trainer.open({
      files,
      backbone,
      method: linearProbe,
      settings,
      pictures,
      prefix,
      // Nothing is trained, so nothing is ever written there.
      folder: `scratch/${newId()}`,
      report: (phase, { done, total }) => report(phase, done, total, 'pictures'),
    });
  }
}

/** Inputs to compare on, as a data set. */
function waves(hash: string): Pictures {
  const samples = Array.from({ length: checked }, (_, i) => ({
    path: `wave ${i}`,
    label: 0,
    split: 'train' as const,
  }));
  return {
    classes: ['a', 'b'],
    samples,
    hash,
    load: async (wanted, side) => wanted.map((sample) => wave(sample, side)),
  };
}

/** A smooth picture of waves, as different for each sample as photos are: f32 [3, side, side] around 0. */
function wave(sample: number, side: number): Float32Array {
  const pixels = new Float32Array(3 * side * side);
  const stream = hash32(sample, 1);
  const draw = (n: number, low: number, high: number) => low + (high - low) * uniform(stream, n);
  const waves = Array.from({ length: 6 }, (_, n) => ({
    x: draw(4 * n, -0.3, 0.3),
    y: draw(4 * n + 1, -0.3, 0.3),
    phase: draw(4 * n + 2, 0, 2 * Math.PI),
    height: draw(4 * n + 3, 0.2, 0.8),
  }));
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        const sum = waves.reduce((s, w) => s + w.height * Math.sin(w.x * x + w.y * y + w.phase * (c + 1)), 0);
        pixels[(c * side + y) * side + x] = sum;
      }
  return pixels;
}
