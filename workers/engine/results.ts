import { methodById } from '../../models/methods/index.ts';
import { taskOfPlan } from '../../models/tasks/index.ts';
import type { Pool } from '../datasets/jobs.ts';
import { type StoredSamples, storedSamples } from '../datasets/pictures.ts';
import { type DatasetStore, NoDatasetError, type OpenDataset } from '../datasets/store.ts';
import type {
  MaskEdit,
  MaskEdited,
  MaskRenewal,
  MaskView,
  MergePart,
  MergePreview,
  ModelDownload,
  Prediction,
  Profile,
  RankCut,
  Report,
  Spectrum,
  StudioEvent,
  Words,
  WriteRequest,
  Written,
} from '../protocol.ts';
import { adapterZip, headless } from '../session/adapter.ts';
import { freshProgress, type Progress } from '../session/checkpoint.ts';
import { elsewhereZip, type Scripts } from '../session/elsewhere.ts';
import { masksOf, paintMask, renewMasks } from '../session/masks.ts';
import { mergedZip } from '../session/mergedModel.ts';
import { softmax } from '../session/metrics.ts';
import { adaptedOnnx } from '../session/onnx.ts';
import type { Files } from '../session/ports.ts';
import { probeLogits } from '../session/probe.ts';
import { previewCut } from '../session/ranks.ts';
import { reportOf } from '../session/report.ts';
import type { Backbones } from './backbones.ts';
import { lastProgress } from './checkpoints.ts';
import { classesAlone, fileName, splitWords } from './leaving.ts';
import { Merging } from './merging.ts';
import { loadProbe } from './probeFile.ts';
import { isActive, type RunRecord, RunStateError } from './record.ts';
import { type RunStore, runFolder } from './runStore.ts';
import type { RunSession, Trainer } from './trainer.ts';
import { triedSample } from './tried.ts';
import { writeOn } from './writing.ts';

interface Ports {
  readonly files: Files;
  readonly pool: Pool;
  readonly datasets: DatasetStore;
  readonly backbones: Backbones;
  readonly trainer: Trainer;
  readonly runs: RunStore;
  /** Progress of opening a run again. */
  report(phase: string, done: number, total: number): void;
  tick(): number;
  /** Scripts of a run elsewhere. */
  scripts(): Promise<Scripts>;
}

/** A session with a run's trained values in place. `dataset` tells whether it has the data set or its classes alone. */
interface Kept {
  readonly id: string;
  readonly session: RunSession;
  readonly dataset: boolean;
}

/**
 * What is done with a run once it rests: report, spectra, predictions, the file. One session is kept for it, that of
 * the last training or one opened again from the run's checkpoint; commands on it go one after another.
 */
export class Results {
  readonly #ports: Ports;
  readonly #merging: Merging;
  #kept: Kept | null = null;
  #writes = false;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#merging = new Merging({ ...ports, samples: (record) => this.#data(record, false) });
  }

  /** Takes over the session of a training that ended. */
  keep(id: string, session: RunSession): void {
    this.drop();
    this.#kept = { id, session, dataset: true };
  }

  /** Gives back the session of a run for training, where it is at hand, and frees any other. */
  release(id: string): RunSession | null {
    const kept = this.#kept;
    this.#kept = null;
    this.#merging.drop();
    if (kept?.id === id && kept.dataset && this.#ports.trainer.holds(kept.session)) return kept.session;
    kept?.session.destroy();
    return null;
  }

  /** Frees what is kept: its device is gone, or the memory is needed. */
  drop(): void {
    this.#drop();
    this.#merging.drop();
  }

  #drop(): void {
    this.#kept?.session.destroy();
    this.#kept = null;
  }

  /** Waits until no command uses the kept session. */
  settled(): Promise<unknown> {
    return this.#tail.catch(() => undefined);
  }

  report(id: string): Promise<Report> {
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      const progress = await this.#progress(record);
      const step = progress.best?.step ?? progress.step;
      let { report } = record;
      if (report?.step !== step) {
        const session = await this.#open(record, 'needed');
        await session.takeBest();
        const made = await reportOf(session, progress.knobs);
        if (!made)
          throw new RunStateError(
            `"${record.view.name}" has no validation or test pictures, so there is nothing to score.`,
          );
        report = { ...made, step };
        const test = made.split === 'test' ? { test: made.score } : {};
        await this.#ports.runs.change(id, { report }, { ...test, probe: made.baseScore ?? undefined });
      }
      const dataset = await this.#samples(record);
      const mistakes = await Promise.all(
        report.mistakes.map(async (mistake) => ({
          ...mistake,
          path: dataset.samples[mistake.sample].path,
          ...(await dataset.look(mistake.sample)),
        })),
      );
      return { ...report, mistakes };
    });
  }

  spectra(id: string): Promise<Spectrum[]> {
    return this.#alone(async () => (await this.#open(this.#ports.runs.get(id), 'none')).spectra());
  }

  masks(id: string): Promise<MaskView[]> {
    return this.#alone(async () => masksOf(await this.#open(this.#ports.runs.get(id), 'none')));
  }

  editMask(id: string, edit: MaskEdit): Promise<MaskEdited> {
    return this.#remask(id, (session, knobs) => paintMask(session, knobs, edit));
  }

  renewMasks(id: string, renewal: MaskRenewal): Promise<MaskEdited> {
    return this.#remask(id, (session, knobs) => renewMasks(session, knobs, renewal));
  }

  /** Changes the mask of a paused run in its newest checkpoint, so that it goes on from there. */
  #remask(
    id: string,
    change: (session: RunSession, knobs: Record<string, number>) => Promise<MaskEdited>,
  ): Promise<MaskEdited> {
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      if (record.view.state !== 'paused')
        throw new RunStateError(
          `"${record.view.name}" is ${record.view.state}; a mask is changed while a run trains or is paused.`,
        );
      const session = await this.#open(record, 'needed');
      const progress = (await session.takeLast()) ?? (await this.#progress(record, session));
      const edited = await change(session, progress.knobs);
      await session.checkpoints.save(session.state, progress);
      return edited;
    });
  }

  cutRanks(id: string, ranks: Record<string, number>): Promise<RankCut> {
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      const session = await this.#open(record, 'wished');
      const { knobs } = await this.#progress(record, session);
      return previewCut(session, knobs, ranks);
    });
  }

  /** Times one training step of a run that rests. */
  profile(id: string): Promise<Profile> {
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      if (record.datasetHash === null)
        throw new RunStateError(
          `"${record.view.name}" came without pictures, so there is no step of it to time.`,
        );
      const progress = await this.#progress(record);
      return (await this.#open(record, 'needed')).profile(progress);
    });
  }

  predict(id: string, sample: Blob | Words): Promise<Prediction> {
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      const session = await this.#open(record, 'none');
      const { files, backbones, tick } = this.#ports;
      const backbone = await backbones.open(record.view.plan.backbone);
      const { values, thumbnail } = await triedSample(this.#ports.pool, sample, backbone, session);
      const begun = tick();
      const { knobs } = await this.#progress(record, session);
      const { logits, features } = await session.predict(values, knobs);
      const ms = tick() - begun;
      const probe = await loadProbe(files, id);
      return {
        classes: record.view.classes,
        withAdapter: softmax(logits),
        withoutAdapter: probe && softmax(probeLogits(probe, features)),
        thumbnail,
        ms,
      };
    });
  }

  /** Writes a prompt on with the adapter and without it. */
  write(id: string, request: WriteRequest, tell: (event: StudioEvent) => void): Promise<Written> {
    this.#writes = true;
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      const session = await this.#open(record, 'none');
      const { tokenizer } = await this.#ports.backbones.open(record.view.plan.backbone);
      const { knobs } = await this.#progress(record, session);
      const stopped = () => !this.#writes;
      return writeOn({ run: id, session, tokenizer: await tokenizer(), knobs, tell, stopped }, request);
    });
  }

  stopWriting(): void {
    this.#writes = false;
  }

  exportAdapter(
    id: string,
    { withBase, ranks = {} }: { withBase: boolean; ranks?: Record<string, number> },
  ): Promise<{ name: string; zip: Blob }> {
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      const session = await this.#open(record, 'wished');
      const backbone = await this.#ports.backbones.open(record.view.plan.backbone);
      const { card, config, model } = backbone;
      const reads = model.backbone.modality;
      const files = withBase ? await backbone.folder() : undefined;
      const progress = await this.#progress(record, session);
      const zip = await adapterZip({
        session: record.view.headless ? headless(session) : session,
        ranks,
        backbone: {
          id: card.id,
          title: card.title,
          licence: card.licence,
          about: card.about,
          config,
          preprocessor: reads === 'text' ? null : backbone.preprocessor,
          tokenizer: reads === 'text' ? await backbone.tokenizerFiles() : undefined,
          files,
        },
        run: {
          name: record.view.name,
          dataset: record.view.datasetName,
          split: splitWords(session),
          seconds: progress.steps.reduce((sum, { ms }) => sum + ms, 0) / 1000,
          progress,
          report: record.report,
        },
      });
      return {
        name: `${fileName(record.view.name)}.zip`,
        zip: new Blob([zip as BlobPart], { type: 'application/zip' }),
      };
    });
  }

  exportOnnx(id: string): Promise<ModelDownload> {
    return this.#alone(async () => {
      const { adapted, card } = await this.#adapted(id);
      const { onnx, kept } = await adaptedOnnx({ ...adapted, backbone: card.title });
      return { name: `${fileName(adapted.name)}.onnx`, file: new Blob([onnx]), kept };
    });
  }

  exportMerged(id: string): Promise<ModelDownload> {
    return this.#alone(async () => {
      const { adapted, card, config, tokenizer } = await this.#adapted(id);
      const about = `a ${adapted.method.card.title} adapter`;
      const zip = await mergedZip({ ...adapted, config, about, backbone: card, tokenizer });
      const file = new Blob([zip as BlobPart], { type: 'application/zip' });
      return { name: `${fileName(adapted.name)}-model.zip`, file, kept: null };
    });
  }

  /** A folder that repeats the run on another machine. Throws `AdapterError` where it cannot be repeated there. */
  exportElsewhere(id: string, { withBase }: { withBase: boolean }): Promise<ModelDownload> {
    return this.#alone(async () => {
      const record = this.#ports.runs.get(id);
      const session = await this.#open(record, 'needed');
      const { card, config, preprocessor, folder } = await this.#ports.backbones.open(
        record.view.plan.backbone,
      );
      const { journal } = await this.#progress(record, session);
      const zip = await elsewhereZip({
        session,
        backbone: {
          id: card.id,
          title: card.title,
          config,
          preprocessor,
          files: withBase ? await folder() : undefined,
        },
        scripts: await this.#ports.scripts(),
        journal,
      });
      const file = new Blob([zip as BlobPart], { type: 'application/zip' });
      return { name: `${fileName(record.view.name)}-elsewhere.zip`, file, kept: null };
    });
  }

  /** A run's model with its adapter, to be written whole. */
  async #adapted(id: string) {
    const record = this.#ports.runs.get(id);
    const { name, plan, classes } = record.view;
    const session = await this.#open(record, 'none');
    const backbone = await this.#ports.backbones.open(plan.backbone);
    const { card, config, preprocessor } = backbone;
    const { model, method, settings } = session.options;
    const { knobs } = await this.#progress(record, session);
    const tensors = await session.trained();
    return {
      adapted: { model, method, settings, tensors, knobs, classes, preprocessor, name },
      card,
      config,
      tokenizer: card.modality === 'text' ? await backbone.tokenizerFiles() : undefined,
    };
  }

  previewMerge(parts: readonly MergePart[], rank: number | null): Promise<MergePreview> {
    return this.#alone(async () => {
      this.#drop();
      return this.#merging.preview(parts, rank);
    });
  }

  exportMerge(
    parts: readonly MergePart[],
    options: Parameters<Merging['export']>[1],
  ): Promise<ModelDownload> {
    return this.#alone(() => this.#merging.export(parts, options));
  }

  /** Commands wait for each other: they share programs and buffers. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#tail.catch(() => undefined).then(work);
    this.#tail = mine;
    return mine;
  }

  async #progress(record: RunRecord, session?: RunSession): Promise<Progress> {
    const progress = await lastProgress(this.#ports.files, `${runFolder(record.id)}checkpoints`);
    if (progress) return progress;
    if (record.view.state === 'imported') return freshProgress(session?.startKnobs() ?? {});
    throw new RunStateError(`"${record.view.name}" has no checkpoint yet. Resume it first.`);
  }

  /** The kept session where it fits, else one opened from the best checkpoint, or the newest. */
  async #open(record: RunRecord, dataset: 'needed' | 'wished' | 'none'): Promise<RunSession> {
    const { id, view } = record;
    if (isActive(view.state))
      throw new RunStateError(`"${view.name}" is training. Pause it, or wait until it is done.`);
    if (this.#kept && !this.#ports.trainer.holds(this.#kept.session)) this.drop();
    if (this.#kept?.id === id && (this.#kept.dataset || dataset !== 'needed')) return this.#kept.session;
    this.drop();
    const { backbones, files, trainer, report } = this.#ports;
    const backbone = await backbones.open(view.plan.backbone);
    await backbone.fetch((done, total) => report('Fetching the backbone', done, total));
    await trainer.ready();
    const data = dataset === 'none' ? null : await this.#data(record, dataset === 'needed');
    const session = await trainer.open({
      files,
      backbone,
      method: methodById(view.plan.method),
      settings: view.plan.settings,
      task: taskOfPlan(view.plan),
      dataset: data ?? classesAlone(view.classes),
      folder: `${runFolder(id)}checkpoints`,
      report: (phase, { done, total }) => report(phase, done, total),
    });
    this.#kept = { id, session, dataset: data !== null };
    await session.takeLast();
    await session.takeBest();
    return session;
  }

  /** The run's samples; null for an adapter made elsewhere, or where a data set that is only wished for is gone. */
  async #data(record: RunRecord, needed: boolean): Promise<StoredSamples | null> {
    if (record.datasetHash === null) return null;
    try {
      return await this.#samples(record);
    } catch (error) {
      if (error instanceof NoDatasetError && !needed) return null;
      throw error;
    }
  }

  async #samples(record: RunRecord): Promise<StoredSamples> {
    const { datasets, backbones, files, pool } = this.#ports;
    const { plan } = record.view;
    const { rows, edited }: OpenDataset = await datasets.at(plan.dataset, record.edits);
    const backbone = await backbones.open(plan.backbone);
    return storedSamples(edited, rows, { files, pool }, backbone, plan.task);
  }
}
