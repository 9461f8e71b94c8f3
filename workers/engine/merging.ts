import { sharedEntries } from '../../models/methods/combine.ts';
import { methodById } from '../../models/methods/index.ts';
import type { Method } from '../../models/methods/method.ts';
import { sizeSetting } from '../../models/model.ts';
import { headParameters } from '../../models/tasks/index.ts';
import type { MergePart, MergePreview, MergeScore, ModelDownload, Score } from '../protocol.ts';
import { adapterBytes, adapterZip } from '../session/adapter.ts';
import { freshProgress } from '../session/checkpoint.ts';
import { mergedZip } from '../session/mergedModel.ts';
import {
  exportedMerge,
  HeldOut,
  type MergedAdapter,
  type MergeInput,
  mergeAdapters,
  scoreHeldOut,
} from '../session/merging.ts';
import { adaptedOnnx } from '../session/onnx.ts';
import type { Dataset, Files } from '../session/ports.ts';
import { defaultSettings } from '../settings.ts';
import type { Backbones, OpenBackbone } from './backbones.ts';
import { lastProgress, trainedValues } from './checkpoints.ts';
import { type RunRecord, RunStateError } from './record.ts';
import { type RunStore, runFolder } from './runStore.ts';
import type { RunSession, Trainer } from './trainer.ts';

interface Ports {
  readonly files: Files;
  readonly backbones: Backbones;
  readonly trainer: Trainer;
  readonly runs: RunStore;
  /** A run's samples; null where they are not here. */
  samples(record: RunRecord): Promise<Dataset | null>;
  report(phase: string, done: number, total: number): void;
}

/** Runs that are to be added, read from storage. */
interface Loaded {
  readonly backbone: OpenBackbone;
  readonly records: RunRecord[];
  readonly inputs: MergeInput[];
}

/**
 * Several runs' adapters added with weights: scored on each one's own pictures, and written. One session a data set is
 * kept open, so that a slider only writes new values into it.
 */
export class Merging {
  readonly #ports: Ports;
  /** Sessions by data set and scores of the adapters alone, for sums of one shape. */
  #open: { key: string; sessions: Map<string, RunSession>; alone: Map<string, Score> } | null = null;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  drop(): void {
    for (const session of this.#open?.sessions.values() ?? []) session.destroy();
    this.#open = null;
  }

  async preview(parts: readonly MergePart[], rank: number | null): Promise<MergePreview> {
    const loaded = await this.#load(parts);
    const { inputs, backbone } = loaded;
    const merged = await mergeAdapters(backbone.model, inputs, rank);
    const scores = this.#opens(merged.method) ? await this.#scores(loaded, rank) : [];
    return {
      form: merged.form,
      onlyMerged: merged.onlyMerged,
      classes: merged.classes,
      width: merged.width,
      energy: merged.energy,
      overlap: merged.form === 'sparse' ? sharedEntries(inputs) : null,
      fileBytes: merged.onlyMerged
        ? null
        : await adapterBytes(this.#exported(loaded, merged), backbone.id, freshProgress({})),
      scores,
    };
  }

  /** Whether this machine computes with a method: without a GPU there are linear probes only. */
  #opens(method: Method): boolean {
    try {
      this.#ports.trainer.accept(method);
      return true;
    } catch {
      return false;
    }
  }

  /** Each adapter alone and in the sum, on its own held-out pictures, where they are here. */
  async #scores(loaded: Loaded, rank: number | null): Promise<MergeScore[]> {
    const { inputs, records, backbone } = loaded;
    const { model } = backbone;
    const merged = await mergeAdapters(model, inputs, rank, true);
    const key = JSON.stringify([records.map((r) => r.id), merged.method.card.id, merged.settings]);
    if (
      this.#open?.key !== key ||
      [...this.#open.sessions.values()].some((s) => !this.#ports.trainer.holds(s))
    ) {
      this.drop();
      this.#open = { key, sessions: new Map(), alone: new Map() };
    }
    const { alone } = this.#open!;
    const scores: MergeScore[] = [];
    for (const [of, record] of records.entries()) {
      const whole = await this.#ports.samples(record);
      const pictures = whole && new HeldOut(whole, merged.classes);
      if (!pictures?.samples.length) continue;
      if (!alone.has(record.id)) {
        const only = inputs.map((input, i) => ({ ...input, weight: i === of ? 1 : 0 }));
        const sum = await mergeAdapters(model, only, null, true);
        alone.set(record.id, (await this.#score(loaded, of, sum, pictures)).own);
      }
      const after = await this.#score(loaded, of, merged, pictures);
      scores.push({ run: record.id, split: pictures.split, alone: alone.get(record.id)!, ...after });
    }
    return scores;
  }

  async export(
    parts: readonly MergePart[],
    { as, rank }: { as: 'adapter' | 'model' | 'onnx'; rank: number | null },
  ): Promise<ModelDownload> {
    const loaded = await this.#load(parts);
    const { backbone, records, inputs } = loaded;
    const { model, card, config, preprocessor } = backbone;
    const merged = await mergeAdapters(model, inputs, rank);
    const name = records.map(({ view }) => view.name).join(' + ');
    const file = `merged-${inputs.length}-adapters`;
    const about = inputs.map((i) => `${i.weight} × ${i.name} (${i.method.card.title})`).join(' + ');
    const exported = this.#exported(loaded, merged);
    if (as === 'adapter') {
      if (merged.onlyMerged) throw new RunStateError(merged.onlyMerged);
      const zip = await adapterZip({
        session: exported,
        backbone: {
          id: card.id,
          title: card.title,
          licence: card.licence,
          about: card.about,
          config,
          preprocessor,
        },
        run: {
          name,
          dataset: [...new Set(records.map(({ view }) => view.datasetName))].join(' and '),
          split: `that of each adapter's own training; this one is their sum: ${about}`,
          progress: freshProgress({}),
          report: null,
        },
      });
      return {
        name: `${file}.zip`,
        file: new Blob([zip as BlobPart], { type: 'application/zip' }),
        kept: null,
      };
    }
    const { method, settings } = exported.options;
    const whole = { model, method, settings, tensors: merged.tensors, knobs: {}, classes: merged.classes };
    if (as === 'onnx') {
      const { onnx, kept } = await adaptedOnnx({ ...whole, preprocessor, name, backbone: card.title });
      return { name: `${file}.onnx`, file: new Blob([onnx]), kept };
    }
    const zip = await mergedZip({
      ...whole,
      preprocessor,
      config,
      name,
      about,
      backbone: card,
      tokenizer: card.modality === 'text' ? await backbone.tokenizerFiles() : undefined,
    });
    return {
      name: `${file}-model.zip`,
      file: new Blob([zip as BlobPart], { type: 'application/zip' }),
      kept: null,
    };
  }

  #settings({ backbone, inputs }: Loaded, merged: MergedAdapter, of = 0) {
    const { model } = backbone;
    const size = sizeSetting[model.backbone.size(model.config).unit];
    return {
      ...defaultSettings(merged.method, backbone.model, 0),
      ...merged.settings,
      augment: 0,
      [size]: inputs[of].settings[size],
    };
  }

  #exported(loaded: Loaded, merged: MergedAdapter) {
    const { files } = this.#ports;
    const { backbone } = loaded;
    const options = { files, backboneHash: backbone.hash, folder: 'merging', report: () => undefined };
    return exportedMerge(backbone.model, merged, options, this.#settings(loaded, merged));
  }

  /** Scores a sum on the pictures of adapter `of`, in the session that is open for them. */
  async #score(loaded: Loaded, of: number, merged: MergedAdapter, pictures: HeldOut) {
    const { backbone } = loaded;
    const { trainer, files, report } = this.#ports;
    const settings = this.#settings(loaded, merged, of);
    const { sessions } = this.#open!;
    const place = `${pictures.hash} ${backbone.model.sizeIn(settings)}`;
    let session = sessions.get(place);
    if (!session) {
      await backbone.fetch((done, total) => report('Fetching the backbone', done, total));
      await trainer.ready();
      session = await trainer.open({
        files,
        backbone,
        method: merged.method,
        settings,
        dataset: pictures,
        folder: 'merging',
        start: merged.tensors,
        report: (phase, { done, total }) => report(phase, done, total),
      });
      sessions.set(place, session);
    }
    session.state.writeTensors(new Map([...merged.tensors].map(([name, { data }]) => [name, data])));
    return scoreHeldOut(session, pictures);
  }

  async #load(parts: readonly MergePart[]): Promise<Loaded> {
    const { runs, backbones } = this.#ports;
    const records = parts.map(({ run }) => runs.get(run));
    if (new Set(records.map((r) => r.id)).size < 2)
      throw new RunStateError('Two different adapters at least are added. Choose another one.');
    const [first, ...others] = records.map(({ view }) => view);
    const odd = others.find((view) => view.plan.backbone !== first.plan.backbone);
    if (odd)
      throw new RunStateError(
        `"${first.name}" and "${odd.name}" stand on different backbones, so their adapters do not add up.`,
      );
    const backbone = await backbones.open(first.plan.backbone);
    const inputs = await Promise.all(
      records.map((record, i) => this.#input(record, backbone, parts[i].weight)),
    );
    return { backbone, records, inputs };
  }

  async #input({ id, view }: RunRecord, backbone: OpenBackbone, weight: number): Promise<MergeInput> {
    const { files } = this.#ports;
    const { model } = backbone;
    const method = methodById(view.plan.method);
    const folder = `${runFolder(id)}checkpoints`;
    const attachment = method.attach(model, view.plan.settings);
    const values = await trainedValues(files, folder);
    if (!values) throw new RunStateError(`"${view.name}" has no checkpoint yet. Resume it first.`);
    const { knobs = {} } = (await lastProgress(files, folder)) ?? {};
    const own = Object.fromEntries(attachment.knobs.map((k) => [k.name, knobs[k.name] ?? k.value]));
    const head = view.headless ? [] : headParameters(model, view.classes.length);
    const declared = [...attachment.parameters, ...head, ...(attachment.buffers ?? [])];
    return {
      method,
      attachment,
      settings: { ...view.plan.settings, ...own },
      tensors: new Map(declared.map(({ name, shape }) => [name, { shape, data: values.get(name)! }])),
      weight,
      name: view.name,
      classes: view.headless ? [] : view.classes,
    };
  }
}
