import { sizeOf } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { writeSafetensors } from '../../models/checkpoints/safetensors.ts';
import type { FileEntry } from '../../models/data/entry.ts';
import type { LabelledFiles } from '../../models/data/folder.ts';
import { nounOf } from '../../models/data/kind.ts';
import type { TextColumns } from '../../models/data/text/texts.ts';
import { AdapterError } from '../../models/exports/adapter.ts';
import { readAdapter as readAdapterFiles } from '../../models/exports/adapterZip.ts';
import { headParameters } from '../../models/tasks/index.ts';
import { defaultBackbone } from '../../models/weights/index.ts';
import { readSample } from '../datasets/samples.ts';
import { type DatasetStore, NothingTaken } from '../datasets/store.ts';
import { type FoundTexts, textsIn } from '../datasets/tables.ts';
import { type Drop, lookAt, samplesOf, sentenceOf } from '../datasets/take.ts';
import type { DatasetView, DroppedFile, RunView, Storage, StudioEvent, Understood } from '../protocol.ts';
import { extraUse } from '../session/costOfUse.ts';
import { type Files, StorageFullError } from '../session/ports.ts';
import { type ImportedAdapter, readAdapter } from '../session/readAdapter.ts';
import { completeSettings, defaultSettings } from '../settings.ts';
import type { Backbones, OpenBackbone } from './backbones.ts';
import { Pace } from './pace.ts';
import { noFigures } from './record.ts';
import { type RunStore, runFolder, runLock } from './runStore.ts';
import type { Tabs } from './tabs.ts';

interface Ports {
  readonly files: Files;
  readonly datasets: DatasetStore;
  readonly backbones: Backbones;
  readonly runs: RunStore;
  readonly tabs: Pick<Tabs, 'exclusive'>;
  tell(event: StudioEvent): void;
  storage(): Promise<Storage>;
  sampleFile(name: string): Promise<Uint8Array>;
  now(): number;
  tick(): number;
  newId(): string;
}

const job = 'import';
/** Operations are counted from schedules for bindings of this many bytes; they hardly depend on it. */
const operationsLimit = 2 ** 27;

/** Takes what is dropped on the page: samples, an adapter, a backbone; and opens the bundled samples. */
export class Intake {
  readonly #ports: Ports;
  #stop = new AbortController();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  cancel(name: string): void {
    if (name === job) this.#stop.abort();
  }

  async take(files: readonly DroppedFile[]): Promise<Understood> {
    this.#stop = new AbortController();
    const drop = await lookAt(files);
    const { understanding } = drop;
    switch (understanding.kind) {
      case 'images':
      case 'sounds':
        return this.#samples(drop);
      case 'table':
        return this.#texts(drop);
      case 'adapter': {
        const run = await this.#adapter(drop);
        return {
          kind: 'adapter',
          sentence: run.headless
            ? 'An adapter without a head: it names no classes. It can be drawn, cut, merged and saved.'
            : `An adapter for ${run.classes.length} classes: ${run.classes.slice(0, 6).join(', ')}.`,
          run,
        };
      }
      case 'backbone': {
        const report = this.#reporter('Copying the backbone', 'bytes');
        const { card } = await this.#ports.backbones.add(
          drop.entries,
          understanding.folder,
          drop.name,
          report,
        );
        return { kind: 'backbone', sentence: `A backbone: ${card.title}, ${card.family}.`, backbone: card };
      }
      default:
        return { kind: 'nothing', sentence: understanding.sentence, rejected: [...drop.refused] };
    }
  }

  /** The stored sample of that id, or a new copy of it. */
  async openSample(id: string): Promise<DatasetView> {
    this.#stop = new AbortController();
    const { datasets, sampleFile } = this.#ports;
    const own = `sample-${id}`;
    const known = (await datasets.list()).find((view) => view.id === own);
    if (known) return known;
    const { card, found, texts } = await readSample(id, sampleFile);
    return datasets.import(
      found,
      card.title,
      this.#stop.signal,
      this.#reporter('Opening the sample', `${nounOf[found.kind]}s`),
      own,
      texts,
    );
  }

  /** The same table read by other columns, as a data set of its own in place of the one there. */
  async chooseColumns(id: string, columns: TextColumns): Promise<DatasetView> {
    this.#stop = new AbortController();
    const { datasets } = this.#ports;
    const { name } = await datasets.view(id);
    const texts = await textsIn(await datasets.tableFiles(id), columns);
    const report = this.#reporter('Reading texts', 'texts');
    const view = await datasets.import(texts.found, name, this.#stop.signal, report, undefined, texts);
    await datasets.remove(id);
    return view;
  }

  async #samples(drop: Drop): Promise<Understood> {
    await this.#room(drop.entries);
    const look = this.#reporter('Looking at files', 'files');
    return this.#import(drop, await samplesOf(drop, (seen) => look(seen, drop.entries.length)));
  }

  async #texts(drop: Drop): Promise<Understood> {
    await this.#room(drop.entries);
    this.#reporter('Looking at files', 'files')(0, drop.entries.length);
    const texts = await textsIn(drop.entries);
    return this.#import(drop, texts.found, texts);
  }

  async #import(drop: Drop, found: LabelledFiles, texts?: FoundTexts): Promise<Understood> {
    const { datasets } = this.#ports;
    // The label of a table can be chosen on the page.
    if (!texts?.table?.columns[1] && found.samples.every(({ label }) => label < 0)) {
      const [first] = found.rejected;
      const sentence = first
        ? `Nothing of it could be taken. The first that was left out: ${first.path}: ${first.reason}.`
        : (found.notes.at(-1) ?? `No ${nounOf[found.kind]} with a label was found.`);
      return { kind: 'nothing', sentence, rejected: found.rejected };
    }
    try {
      const noun = `${nounOf[found.kind]}s`;
      const report = this.#reporter(`Reading ${noun}`, noun);
      const dataset = await datasets.import(found, drop.name, this.#stop.signal, report, undefined, texts);
      return { kind: 'dataset', sentence: sentenceOf(dataset), dataset };
    } catch (error) {
      if (!(error instanceof NothingTaken)) throw error;
      return { kind: 'nothing', sentence: error.message, rejected: [...error.rejected] };
    }
  }

  /** Refuses in words, before anything is copied, what cannot fit. */
  async #room(entries: readonly FileEntry[]): Promise<void> {
    const { usedBytes, quotaBytes } = await this.#ports.storage();
    const needed = entries.reduce((sum, { size }) => sum + size, 0);
    const free = quotaBytes - usedBytes;
    if (needed <= free) return;
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
    throw new StorageFullError(
      `The files have ${gigabytes(needed)}, and this browser leaves ${gigabytes(Math.max(0, free))} for them.`,
    );
  }

  async #adapter(drop: Drop): Promise<RunView> {
    const { run } = await readAdapterFiles(drop.entries);
    const { backbone, imported } = await this.#fitting(drop, run);
    const { files, runs, newId, now } = this.#ports;
    const { method } = imported;
    const head = backbone.model.head.path;
    const weight = imported.tensors.get(`${head}.weight`);
    const labels = Array.from({ length: weight?.shape[0] ?? 1 }, (_, i) => `class ${i}`);
    const classes = weight ? (imported.labels ?? labels) : ['no class'];
    const defaults = defaultSettings(method, backbone.model, 0);
    const id = newId();
    const tensors = [...imported.tensors].map(([name, { data }]) => ({ name, shape: [data.length], data }));
    // What the file lacks of a head is zero.
    for (const { name, shape } of headParameters(backbone.model, classes.length)) {
      const length = sizeOf(shape);
      if (!imported.tensors.has(name))
        tensors.push({ name, shape: [length], data: new Float32Array(length) });
    }
    const settings = completeSettings(method, imported.settings, defaults);
    const { model } = backbone;
    const shape = { model, attachment: method.attach(model, settings), classes: classes.length, settings };
    const view: RunView = {
      id,
      name: text(run?.name) ?? drop.name,
      plan: { dataset: '', backbone: backbone.id, method: method.card.id, settings },
      datasetName: text((run?.dataset as JsonObject | undefined)?.name) ?? 'pictures elsewhere',
      dataHash: null,
      classes,
      ...(weight ? {} : { headless: true as const }),
      createdAt: now(),
      state: 'imported',
      progress: { phase: 'Imported', done: 1, total: 1, unit: '', perSecond: null, secondsLeft: null },
      figures: { ...noFigures, extraUse: extraUse(method, shape, operationsLimit) },
    };
    const rest = { edits: [], datasetHash: null, backboneHash: backbone.hash };
    const best = writeSafetensors(tensors, { format: 'graft' });
    await this.#ports.tabs.exclusive(runLock(id), async () => {
      await files.write(`${runFolder(id)}checkpoints/best.safetensors`, best);
      await runs.add({ version: 2, id, view, ...rest, epoch: 1, report: null, removedAt: null });
    });
    return view;
  }

  /**
   * The backbone that an adapter was made for: the one its `run.json` names, or the first whose modules carry its
   * names; else the base that came along. Throws `AdapterError` with what the likeliest one says.
   */
  async #fitting(
    drop: Drop,
    run: JsonObject | undefined,
  ): Promise<{ backbone: OpenBackbone; imported: ImportedAdapter }> {
    const { backbones } = this.#ports;
    const made = (run?.backbone ?? {}) as JsonObject;
    const cards = await backbones.cards();
    const hashes = new Map<string, string>();
    for (const { id } of cards) hashes.set(id, (await backbones.open(id)).hash);
    const likely = (id: string) =>
      (made.hash === hashes.get(id) ? 4 : 0) + (made.id === id ? 2 : 0) + (id === defaultBackbone ? 1 : 0);
    const ids = cards.map(({ id }) => id).sort((a, b) => likely(b) - likely(a));
    let first: unknown;
    for (const id of ids) {
      const backbone = await backbones.open(id);
      try {
        return { backbone, imported: await readAdapter(drop.entries, backbone.model) };
      } catch (error) {
        first ??= error;
      }
    }
    const base = drop.entries.filter(({ path }) => /(^|\/)base\/config\.json$/.test(path));
    if (base.length === 1) {
      const folder = base[0].path.slice(0, -'/config.json'.length);
      const title = text(made.title) ?? drop.name;
      const backbone = await backbones.add(
        drop.entries,
        folder,
        title,
        this.#reporter('Copying the base', 'bytes'),
      );
      return { backbone, imported: await readAdapter(drop.entries, backbone.model) };
    }
    const why = first instanceof Error ? first.message : 'no backbone is here.';
    const title = text(made.title);
    const next = title
      ? `Drop the folder of ${title} first, then the adapter.`
      : 'Drop the folder of its base first, then the adapter.';
    throw new AdapterError(`The adapter fits none of the backbones here: ${why} ${next}`);
  }

  #reporter(phase: string, unit: string): (done: number, total: number) => void {
    const pace = new Pace(this.#ports.tick);
    return (done, total) => {
      if (unit === 'bytes') this.#stop.signal.throwIfAborted();
      this.#ports.tell({ kind: 'progress', job, progress: pace.progress(phase, done, total, unit) });
    };
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
