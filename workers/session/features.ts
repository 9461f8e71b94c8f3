import type { Copy, Gpu, Program, Slice } from '../../gpu-shaders/index.ts';
import type { Settings } from '../../models/describe.ts';
import { type Augmentation, type Dataset, type Files, type SampleValues, StorageFullError } from './ports.ts';
import type { Prefix } from './prefix.ts';
import { type CutRow, PREFIX_BATCH } from './programs.ts';

/** Rows that one stored file holds. */
const ROWS_PER_FILE = 64;
/** Bytes of cached features that may stay on the GPU; beyond it they are read from storage batch by batch. */
export const GPU_CACHE_BYTES = 1.5 * 2 ** 30;

/** Bytes of features kept in storage for later runs. */
export const STORED_BYTES = 4 * 2 ** 30;

/** Removes features of other runs, in the order of their keys, until those of `key` fit beside the rest. */
export async function makeRoom(files: Files, key: string, bytes: number, budget: number): Promise<void> {
  const sizes = new Map<string, number>();
  for (const name of await files.list('features/')) {
    const owner = name.split('/')[1];
    if (owner !== key) sizes.set(owner, (sizes.get(owner) ?? 0) + ((await files.size(name)) ?? 0));
  }
  let total = bytes + [...sizes.values()].reduce((a, b) => a + b, 0);
  for (const [owner, size] of sizes) {
    if (total <= budget) break;
    await files.remove(`features/${owner}/`);
    total -= size;
  }
}

/** A picture as a run sees it: the sample as it is (view 0), or one of its augmented views. */
export interface Row {
  sample: number;
  view: number;
}

export interface FeatureProgress {
  done: number;
  total: number;
}

/** Raised between batches when the caller has asked for a stop. What is stored by then is used next time. */
export class Cancelled extends Error {
  override name = 'Cancelled';
}

/**
 * The frozen prefix's values for every row of a run, computed once and stored under `features/<key>/`. They stay on
 * the GPU while they fit; otherwise each batch is read from storage.
 */
export class FeatureCache {
  private readonly resident = new Map<string, Slice[]>();
  /** Frozen features of view 0 by sample, for the probe and the neighbours score. */
  readonly features: Float32Array[] = [];

  private constructor(
    private readonly gpu: Gpu,
    private readonly files: Files,
    private readonly folder: string,
    private readonly cuts: readonly CutRow[],
    private readonly rowOf: ReadonlyMap<string, number>,
  ) {}

  /**
   * Brings every row into the cache, computing what is not stored yet. `seed` is that of the augmentation; `report`
   * hears of progress and may throw `Cancelled`.
   */
  static async fill(options: {
    gpu: Gpu;
    files: Files;
    key: string;
    prefix: Prefix;
    dataset: Dataset;
    rows: readonly Row[];
    size: number;
    seed: number;
    report(progress: FeatureProgress): void;
    /** Bytes that all stored features may take; older ones make room. */
    budget?: number;
  }): Promise<FeatureCache> {
    const { gpu, files, key, prefix, dataset, rows, report } = options;
    const rowOf = new Map(rows.map((r, i) => [rowKey(r), i]));
    const cache = new FeatureCache(gpu, files, `features/${key}`, prefix.rows, rowOf);
    const bytes = prefix.rows.reduce((n, c) => n + c.bytes, 0) * rows.length;
    if (bytes <= GPU_CACHE_BYTES) cache.reserve(rows.length);
    await makeRoom(files, key, bytes, options.budget ?? STORED_BYTES);
    let storing = true;
    try {
      for (let from = 0; from < rows.length; from += ROWS_PER_FILE) {
        const part = rows.slice(from, from + ROWS_PER_FILE);
        report({ done: from, total: rows.length });
        const stored = await cache.readFile(from / ROWS_PER_FILE, part.length);
        const data = stored ?? (await cache.compute(prefix, dataset, part, options));
        if (!stored && storing) storing = await cache.store(from / ROWS_PER_FILE, data);
        cache.place(from, data);
      }
      report({ done: rows.length, total: rows.length });
      return cache;
    } catch (error) {
      cache.destroy();
      throw error;
    }
  }

  /** Fills the cut inputs of `program` with a batch of rows: GPU copies to make before its run. */
  async bring(program: Program, batch: readonly Row[]): Promise<Copy[]> {
    const copies: Copy[] = [];
    for (const cut of this.cuts) {
      const to = program.input(cut.name);
      if (!to) continue;
      const resident = this.resident.get(cut.name);
      for (const [j, row] of batch.entries()) {
        const at = this.rowOf.get(rowKey(row))!;
        if (resident) {
          const from = resident[at];
          copies.push({
            from: from.buffer,
            fromOffset: from.offset,
            to,
            toOffset: j * cut.bytes,
            bytes: cut.bytes,
          });
        } else program.write(cut.name, await this.readRow(cut, at), (j * cut.bytes) / 4);
      }
    }
    return copies;
  }

  destroy(): void {
    for (const buffer of new Set([...this.resident.values()].flat().map((s) => s.buffer))) buffer.destroy();
    this.resident.clear();
  }

  /** One slice a row, in buffers no larger than the device allows. */
  private reserve(count: number): void {
    for (const cut of this.cuts) {
      const perBuffer = Math.max(1, Math.floor(Math.min(this.gpu.maxBinding, 2 ** 28) / cut.bytes));
      const slices: Slice[] = [];
      for (let from = 0; from < count; from += perBuffer) {
        const n = Math.min(perBuffer, count - from);
        const buffer = this.gpu.buffer(n * cut.bytes, `features ${cut.name}`);
        for (let i = 0; i < n; i++) slices.push({ buffer, offset: i * cut.bytes, bytes: cut.bytes });
      }
      this.resident.set(cut.name, slices);
    }
  }

  private async compute(
    prefix: Prefix,
    dataset: Dataset,
    rows: readonly Row[],
    { size, seed }: { size: number; seed: number },
  ): Promise<Map<string, Float32Array>> {
    const names = [...this.cuts.map((c) => c.name), 'features'];
    const parts = new Map<string, Float32Array[]>(names.map((n) => [n, []]));
    for (let i = 0; i < rows.length; i += PREFIX_BATCH) {
      const samples = await loadRows(dataset, rows.slice(i, i + PREFIX_BATCH), size, seed);
      const values = await prefix.compute(samples);
      for (const { name, given } of this.cuts)
        parts.get(name)!.push(given ? joined(samples.map((s) => bitsOf(s[given]))) : values.get(name)!);
      parts.get('features')!.push(values.get('features')!);
    }
    return new Map([...parts].map(([name, list]) => [name, joined(list)]));
  }

  private place(from: number, data: ReadonlyMap<string, Float32Array>): void {
    const rows = [...this.rowOf.keys()].slice(from, from + ROWS_PER_FILE);
    const features = data.get('features')!;
    const width = features.length / rows.length;
    rows.forEach((key, i) => {
      const [sample, view] = key.split('/').map(Number);
      if (view === 0) this.features[sample] = features.slice(i * width, (i + 1) * width);
    });
    for (const cut of this.cuts) {
      const slices = this.resident.get(cut.name);
      if (!slices) continue;
      const values = data.get(cut.name)!;
      rows.forEach((_, i) => {
        const { buffer, offset } = slices[from + i];
        const row = values.subarray((i * cut.bytes) / 4, ((i + 1) * cut.bytes) / 4);
        this.gpu.device.queue.writeBuffer(buffer, offset, row as Float32Array<ArrayBuffer>);
      });
    }
  }

  private file(name: string, index: number): string {
    return `${this.folder}/${name.replace(':', '')}.${index}`;
  }

  /** Whether there was room. Features on the GPU can do without storage; others cannot, and the error goes on. */
  private async store(index: number, data: ReadonlyMap<string, Float32Array>): Promise<boolean> {
    try {
      for (const [name, values] of data)
        await this.files.write(
          this.file(name, index),
          new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
        );
      return true;
    } catch (error) {
      if (!(error instanceof StorageFullError) || !this.resident.size) throw error;
      await this.files.remove(`${this.folder}/`);
      return false;
    }
  }

  private async readFile(index: number, rows: number): Promise<Map<string, Float32Array> | null> {
    const data = new Map<string, Float32Array>();
    for (const name of [...this.cuts.map((c) => c.name), 'features']) {
      const bytes = await this.files.read(this.file(name, index));
      const expected = this.cuts.find((c) => c.name === name)?.bytes;
      if (!bytes || (expected !== undefined && bytes.byteLength !== expected * rows)) return null;
      data.set(name, new Float32Array(bytes.slice().buffer));
    }
    return data;
  }

  private async readRow(cut: CutRow, at: number): Promise<Float32Array> {
    const begin = (at % ROWS_PER_FILE) * cut.bytes;
    const bytes = await this.files.readRange(
      this.file(cut.name, Math.floor(at / ROWS_PER_FILE)),
      begin,
      begin + cut.bytes,
    );
    return new Float32Array(bytes.slice().buffer);
  }
}

/** Every labelled sample as it is, and the views of those trained on. */
export function rowsOf(dataset: Dataset, settings: Settings): Row[] {
  const rows: Row[] = [];
  dataset.samples.forEach(({ label, split }, sample) => {
    if (label < 0) return;
    const views = split === 'train' ? ((settings.augment ?? 0) as number) : 0;
    for (let view = 0; view <= views; view++) rows.push({ sample, view });
  });
  return rows;
}

const rowKey = (r: Row) => `${r.sample}/${r.view}`;

/** Samples of rows, the views by their augmentation. */
export async function loadRows(
  dataset: Dataset,
  rows: readonly Row[],
  size: number,
  seed: number,
): Promise<SampleValues[]> {
  const result = new Array<SampleValues>(rows.length);
  for (const view of new Set(rows.map((r) => r.view))) {
    const at = rows.flatMap((r, i) => (r.view === view ? [i] : []));
    const augmentation: Augmentation | null = view === 0 ? null : { view, seed };
    const samples = await dataset.load(
      at.map((i) => rows[i].sample),
      size,
      augmentation,
    );
    at.forEach((i, j) => {
      result[i] = samples[j];
    });
  }
  return result;
}

/** The bits of whole numbers as floats have them: rows are stored and uploaded as they are. */
export const bitsOf = (values: Float32Array | Uint32Array): Float32Array =>
  new Float32Array(values.buffer, values.byteOffset, values.length);

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}
