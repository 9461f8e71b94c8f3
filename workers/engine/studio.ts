import { NoGpuError } from '../../gpu-shaders/index.ts';
import { encodeWav } from '../../models/data/audio/wav.ts';
import { cardOf, methodById, methods } from '../../models/methods/index.ts';
import { defaultBackbone } from '../../models/weights/index.ts';
import type { Pool } from '../datasets/jobs.ts';
import { sampleCards } from '../datasets/samples.ts';
import { DatasetStore } from '../datasets/store.ts';
import { defaultHub } from '../hub/address.ts';
import type { HubFetch } from '../hub/port.ts';
import type {
  Catalogue,
  DatasetEdit,
  DatasetView,
  DroppedFile,
  Estimate,
  HubRequest,
  Machine,
  MaskEdit,
  MaskEdited,
  MaskRenewal,
  MaskView,
  MergePart,
  MergePreview,
  ModelDownload,
  NeighbourScore,
  Prediction,
  Profile,
  RankCut,
  ReferenceCheck,
  Report,
  RunCurves,
  RunPlan,
  RunView,
  Spectrum,
  Storage,
  StoredBackbone,
  Studio,
  StudioError,
  StudioEvent,
  TextColumns,
  Thumbnail,
  TokenView,
  Understood,
  Words,
  WriteRequest,
  Written,
} from '../protocol.ts';
import type { ReferenceWorker } from '../reference.ts';
import type { Scripts } from '../session/elsewhere.ts';
import type { Files } from '../session/ports.ts';
import { trainingSettings } from '../settings.ts';
import type { Database } from '../storage/records.ts';
import { type AssetUrl, Backbones } from './backbones.ts';
import { CpuTrainer } from './cpuSession.ts';
import { EventStream } from './events.ts';
import { Features } from './features.ts';
import { HubIntake } from './hub.ts';
import { Intake } from './intake.ts';
import { Pace } from './pace.ts';
import { Plans } from './plans.ts';
import { Results } from './results.ts';
import { RunStore } from './runStore.ts';
import { Runs } from './runs.ts';
import { Speeds } from './speeds.ts';
import { type Tabs, trainerLock } from './tabs.ts';
import { type Trainer, whyNoGpu } from './trainer.ts';

/** What the engine needs of the machine it runs on. */
export interface EnginePorts {
  readonly db: Database;
  readonly files: Files;
  readonly pool: Pool;
  readonly tabs: Tabs;
  readonly reference: ReferenceWorker;
  readonly asset: AssetUrl;
  /** Reaches hubs; the engine itself stays within its own origin. */
  readonly hub: HubFetch;
  readonly crossOriginIsolated: boolean;
  /** Opens what trains on a GPU. Throws `NoGpuError`. */
  openGpu(): Promise<Trainer>;
  storage(): Promise<Storage>;
  /** Resolves when this page must be loaded anew: a newer one changed what is stored. */
  readonly outdated: Promise<StudioError>;
  /** A file of the bundled samples. */
  sampleFile(name: string): Promise<Uint8Array>;
  scripts(): Promise<Scripts>;
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds of a clock that never goes back. */
  tick(): number;
  newId(): string;
}

/** The engine behind the page: every command of `Studio`, over ports. `open` must come first. */
export class Engine implements Studio {
  readonly #start: () => Promise<EnginePorts>;
  #parts: Promise<Parts> | undefined;
  #listen: (event: StudioEvent) => void = () => undefined;

  constructor(start: () => Promise<EnginePorts>) {
    this.#start = start;
  }

  async open(listen: (event: StudioEvent) => void): Promise<Machine> {
    this.#listen = listen;
    this.#parts ??= this.#start().then((ports) => assemble(ports, (event) => this.#listen(event)));
    const { ports, trainer, noWebGpu } = await this.#parts;
    return {
      backend: trainer.backend,
      adapter: trainer.name,
      software: trainer.software,
      features: [...trainer.features],
      limits: { ...trainer.limits },
      crossOriginIsolated: ports.crossOriginIsolated,
      ...(noWebGpu ? { noWebGpu } : {}),
      storage: await ports.storage(),
    };
  }

  async catalogue(): Promise<Catalogue> {
    const { backbones } = await this.#ready();
    return {
      backbones: await backbones.cards(),
      defaultBackbone,
      defaultHub,
      methods: methods.map(cardOf),
      training: [...trainingSettings],
      samples: [...sampleCards],
    };
  }

  async storage(): Promise<Storage> {
    return (await this.#ready()).ports.storage();
  }

  async take(files: DroppedFile[]): Promise<Understood> {
    return (await this.#ready()).intake.take(files);
  }

  async loadFromHub(request: HubRequest) {
    return (await this.#ready()).hub.load(request);
  }

  async storedBackbones(): Promise<StoredBackbone[]> {
    return (await this.#ready()).backbones.stored();
  }

  async removeBackbone(id: string): Promise<void> {
    return (await this.#ready()).backbones.remove(id);
  }

  async restoreBackbone(id: string): Promise<void> {
    return (await this.#ready()).backbones.restore(id);
  }

  async openSample(id: string): Promise<DatasetView> {
    return (await this.#ready()).intake.openSample(id);
  }

  async datasets(): Promise<DatasetView[]> {
    return (await this.#ready()).datasets.list();
  }

  async editDataset(id: string, edit: DatasetEdit): Promise<DatasetView> {
    return (await this.#ready()).datasets.edit(id, edit);
  }

  async undoDatasetEdit(id: string): Promise<DatasetView> {
    return (await this.#ready()).datasets.undo(id);
  }

  async addSample(id: string | null, className: string, sample: Blob): Promise<DatasetView> {
    return (await this.#ready()).datasets.addSample(id, className, sample);
  }

  addSound(id: string | null, className: string, samples: Float32Array, rate: number): Promise<DatasetView> {
    return this.addSample(id, className, new Blob([encodeWav(samples, rate) as BlobPart]));
  }

  async removeDataset(id: string): Promise<void> {
    return (await this.#ready()).datasets.remove(id);
  }

  async restoreDataset(id: string): Promise<DatasetView> {
    return (await this.#ready()).datasets.restore(id);
  }

  async chooseColumns(id: string, columns: TextColumns): Promise<DatasetView> {
    return (await this.#ready()).intake.chooseColumns(id, columns);
  }

  async tokens(dataset: string, backbone: string, sample: number, length: number): Promise<TokenView> {
    return (await this.#ready()).plans.tokens(dataset, backbone, sample, length);
  }

  async thumbnails(id: string, classIndex: number, from: number, count: number): Promise<Thumbnail[]> {
    return (await this.#ready()).datasets.thumbnails(id, classIndex, from, count);
  }

  async original(id: string, sample: number): Promise<Blob> {
    return (await this.#ready()).datasets.original(id, sample);
  }

  async neighbours(dataset: string, backbone: string, imageSize: number): Promise<NeighbourScore> {
    return (await this.#ready()).features.neighbours(dataset, backbone, imageSize);
  }

  async defaults(dataset: string | null, backbone: string, method: string) {
    return (await this.#ready()).plans.defaults(dataset, backbone, methodById(method));
  }

  async estimate(plan: RunPlan): Promise<Estimate> {
    return (await this.#ready()).plans.estimate(plan);
  }

  async createRun(plan: RunPlan, { wait } = { wait: false }): Promise<RunView> {
    return (await this.#ready()).runs.create(plan, wait);
  }

  async resume(run: string): Promise<void> {
    return (await this.#ready()).runs.resume(run);
  }

  async pause(run: string): Promise<void> {
    return (await this.#ready()).runs.pause(run);
  }

  async stop(run: string): Promise<void> {
    return (await this.#ready()).runs.stop(run);
  }

  async moveQueued(run: string, before: string | null): Promise<void> {
    return (await this.#ready()).runs.moveQueued(run, before);
  }

  async moveQueue(moves: boolean): Promise<void> {
    return (await this.#ready()).runs.moveQueue(moves);
  }

  async turn(run: string, knob: string, value: number): Promise<void> {
    return (await this.#ready()).runs.turn(run, knob, value);
  }

  async runs(): Promise<RunView[]> {
    return (await this.#ready()).store.list();
  }

  async curves(run: string): Promise<RunCurves> {
    return (await this.#ready()).runs.curves(run);
  }

  async renameRun(run: string, name: string): Promise<RunView> {
    return (await this.#ready()).runs.rename(run, name);
  }

  async removeRun(run: string): Promise<void> {
    return (await this.#ready()).runs.remove(run);
  }

  async restoreRun(run: string): Promise<RunView> {
    return (await this.#ready()).runs.restore(run);
  }

  async report(run: string): Promise<Report> {
    return (await this.#ready()).results.report(run);
  }

  async spectra(run: string): Promise<Spectrum[]> {
    return (await this.#ready()).results.spectra(run);
  }

  async masks(run: string): Promise<MaskView[]> {
    return (await this.#ready()).runs.masks(run);
  }

  async editMask(run: string, edit: MaskEdit): Promise<MaskEdited> {
    return (await this.#ready()).runs.editMask(run, edit);
  }

  async renewMasks(run: string, renewal: MaskRenewal): Promise<MaskEdited> {
    return (await this.#ready()).runs.renewMasks(run, renewal);
  }

  async cutRanks(run: string, ranks: Record<string, number>): Promise<RankCut> {
    return (await this.#ready()).results.cutRanks(run, ranks);
  }

  async profile(run: string): Promise<Profile> {
    return (await this.#ready()).runs.profile(run);
  }

  async predict(run: string, sample: Blob | Words): Promise<Prediction> {
    return (await this.#ready()).results.predict(run, sample);
  }

  async exportAdapter(
    run: string,
    options: { withBase: boolean; ranks?: Record<string, number> },
  ): Promise<{ name: string; zip: Blob }> {
    return (await this.#ready()).results.exportAdapter(run, options);
  }

  async exportOnnx(run: string): Promise<ModelDownload> {
    return (await this.#ready()).results.exportOnnx(run);
  }

  async write(run: string, request: WriteRequest): Promise<Written> {
    const { results, tell } = await this.#ready();
    return results.write(run, request, tell);
  }

  async exportElsewhere(run: string, options: { withBase: boolean }): Promise<ModelDownload> {
    return (await this.#ready()).results.exportElsewhere(run, options);
  }

  async exportMerged(run: string): Promise<ModelDownload> {
    return (await this.#ready()).results.exportMerged(run);
  }

  async previewMerge(parts: MergePart[], rank: number | null): Promise<MergePreview> {
    return (await this.#ready()).results.previewMerge(parts, rank);
  }

  async exportMerge(
    parts: MergePart[],
    options: { as: 'adapter' | 'model' | 'onnx'; rank: number | null },
  ): Promise<ModelDownload> {
    return (await this.#ready()).results.exportMerge(parts, options);
  }

  async check(backbone: string): Promise<ReferenceCheck> {
    return (await this.#ready()).features.check(backbone);
  }

  async cancel(job: string): Promise<void> {
    const { intake, hub, features, results } = await this.#ready();
    if (job === 'write') results.stopWriting();
    intake.cancel(job);
    hub.cancel(job);
    features.cancel(job);
  }

  #ready(): Promise<Parts> {
    if (!this.#parts) throw new Error('The engine was asked before it was opened.');
    return this.#parts;
  }
}

type Parts = Awaited<ReturnType<typeof assemble>>;

/** Builds the engine's parts over the ports, tidies storage, and hears other tabs. */
async function assemble(ports: EnginePorts, listen: (event: StudioEvent) => void) {
  const { files, pool, tabs, reference } = ports;
  const events = new EventStream((event) => {
    listen(event);
    if (shared(event)) tabs.tell(event);
  }, ports.tick);
  const tell = (event: StudioEvent) => events.send(event);
  const { trainer, noWebGpu } = await openTrainer(ports);
  const backbones = new Backbones({ ...ports });
  const datasetPorts = { ...ports, exclusive: tabs.exclusive };
  const datasets = new DatasetStore(datasetPorts, (dataset) => tell({ kind: 'dataset', dataset }));
  const store = new RunStore(ports, tell);
  const speeds = await Speeds.open(files, trainer.name);
  const plans = new Plans({ backbones, datasets, trainer, speeds });
  const common = { files, pool, datasets, backbones, trainer, tick: ports.tick, tell };
  const pace = new Pace(ports.tick);
  const report = (phase: string, done: number, total: number) =>
    tell({ kind: 'progress', job: 'result', progress: pace.progress(phase, done, total, '') });
  const results = new Results({ ...common, runs: store, report, scripts: ports.scripts });
  const runs = new Runs({ ...common, ...ports, reference, runs: store, speeds, plans, results });
  const intake = new Intake({ ...common, ...ports, runs: store });
  const hub = new HubIntake({ ...common, ...ports });
  const features = new Features({ ...common, reference, newId: ports.newId });
  const alone = await tabs.isIdle(trainerLock);
  await store.load(alone);
  await datasets.tidy(tabs.isIdle);
  await backbones.tidy();
  void ports.outdated.then((error) => tell({ kind: 'notice', error }));
  tabs.hear((event) => {
    if (event.kind === 'dataset') datasets.forget(event.dataset.id);
    if (event.kind === 'run') runs.heard(event.run);
    if (event.kind === 'queue') runs.heardQueue(event.moves);
    listen(event);
  });
  if (!alone) {
    // Another tab trains; it says so when it holds its queue.
    runs.heardQueue(true);
    tell({ kind: 'queue', moves: true });
  }
  runs.watchOthers();
  return {
    ports,
    tell,
    trainer,
    noWebGpu,
    backbones,
    datasets,
    store,
    plans,
    results,
    runs,
    intake,
    hub,
    features,
  };
}

/** What other tabs are told: what they list too. */
function shared(event: StudioEvent): boolean {
  return (
    event.kind === 'run' || event.kind === 'points' || event.kind === 'dataset' || event.kind === 'spectra'
  );
}

async function openTrainer(ports: EnginePorts) {
  try {
    return { trainer: await ports.openGpu(), noWebGpu: undefined };
  } catch (error) {
    if (!(error instanceof NoGpuError)) throw error;
    return { trainer: new CpuTrainer(ports.reference), noWebGpu: whyNoGpu(error) };
  }
}
