import type {
  BackboneCard,
  MaskEdit,
  MaskRenewal,
  MethodCard,
  Modality,
  Setting,
  Settings,
} from '../models/describe.ts';
import type { HubRequest, StoredBackbone } from './hub/describe.ts';
import type {
  DatasetEdit,
  DatasetView,
  DroppedFile,
  TextColumns,
  Thumbnail,
  TokenView,
  Understood,
  Words,
} from './protocol/data.ts';
import type {
  MaskEdited,
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
  Spectrum,
  WriteRequest,
  Written,
} from './protocol/results.ts';
import type {
  Estimate,
  EvalPoint,
  Progress,
  RunCurves,
  RunPlan,
  RunView,
  StepPoint,
  StudioError,
} from './protocol/runs.ts';

export type { MaskEdit, MaskRenewal } from '../models/describe.ts';
export type { HubRequest, StoredBackbone } from './hub/describe.ts';
export type * from './protocol/data.ts';
export type * from './protocol/results.ts';
export type * from './protocol/runs.ts';

/**
 * The contract between the page and the engine worker: everything here is plain data that survives a structured
 * clone. Every command names what it acts on; long ones report through `StudioEvent`s, coalesced to at most ten a
 * second, and can be cancelled. Errors cross as `StudioError`.
 */

/** What this browser offers. `backend` says where training runs: `wasm` trains a linear probe on cached features only. */
export interface Machine {
  backend: 'webgpu' | 'wasm';
  adapter: string;
  software: boolean;
  features: string[];
  limits: { maxBufferBytes: number; maxBindingBytes: number };
  crossOriginIsolated: boolean;
  /** Why WebGPU is not in use, and how to turn it on; absent when it is. */
  noWebGpu?: StudioError;
  storage: Storage;
}

export interface Storage {
  usedBytes: number;
  quotaBytes: number;
  persisted: boolean;
}

export interface Catalogue {
  backbones: BackboneCard[];
  defaultBackbone: string;
  /** Address of the hub that is asked where none is set. */
  defaultHub: string;
  methods: MethodCard[];
  /** Settings every method shares: rate, schedule, batch size, epochs, seed and so on. */
  training: Setting[];
  samples: SampleCard[];
}

/** A data set that ships with the page. */
export interface SampleCard {
  id: string;
  kind: Modality;
  title: string;
  about: string;
  licence: string;
  classes: number;
  /** Of its samples. */
  count: number;
}

// ---- events and commands ------------------------------------------------------------------------------------------

export type StudioEvent =
  | { kind: 'progress'; job: string; progress: Progress }
  | { kind: 'run'; run: RunView }
  | { kind: 'points'; run: string; epoch: number; steps: StepPoint[]; evals: EvalPoint[] }
  | { kind: 'spectra'; run: string; step: number; spectra: Spectrum[] }
  | { kind: 'neighbours'; score: NeighbourScore }
  /** A text as it is being written. */
  | { kind: 'written'; run: string; written: Written }
  | { kind: 'dataset'; dataset: DatasetView }
  /** Whether the first run of the queue begins once nothing trains. */
  | { kind: 'queue'; moves: boolean }
  | { kind: 'device-lost'; error: StudioError; recovered: boolean }
  | { kind: 'notice'; error: StudioError };

export interface Studio {
  /** Opens the device and the storage; `listen` receives every event from then on. */
  open(listen: (event: StudioEvent) => void): Promise<Machine>;
  catalogue(): Promise<Catalogue>;
  storage(): Promise<Storage>;

  /** Takes any drop: pictures, a zip, an adapter, a backbone's folder. Progress comes under job `import`. */
  take(files: DroppedFile[]): Promise<Understood>;
  /**
   * Brings a backbone from a hub into this browser's storage, going on from where an earlier try stopped. Progress
   * comes under job `hub`.
   */
  loadFromHub(request: HubRequest): Promise<BackboneCard>;
  /** Backbones in this browser's storage, those that ship with the page left out. */
  storedBackbones(): Promise<StoredBackbone[]>;
  /** Takes a stored backbone away; its bytes go when room is needed, or at the next visit. */
  removeBackbone(id: string): Promise<void>;
  restoreBackbone(id: string): Promise<void>;
  openSample(id: string): Promise<DatasetView>;
  datasets(): Promise<DatasetView[]>;
  editDataset(id: string, edit: DatasetEdit): Promise<DatasetView>;
  undoDatasetEdit(id: string): Promise<DatasetView>;
  /** Adds one captured picture or sound to a class of a data set, which is made when `id` is null. */
  addSample(id: string | null, className: string, sample: Blob): Promise<DatasetView>;
  /** Adds what a microphone heard, mono samples in -1..1 at `rate` a second, as `addSample`. */
  addSound(id: string | null, className: string, samples: Float32Array, rate: number): Promise<DatasetView>;
  removeDataset(id: string): Promise<void>;
  restoreDataset(id: string): Promise<DatasetView>;
  /** Reads the table of a data set of texts by other columns: a new data set takes its place. */
  chooseColumns(id: string, columns: TextColumns): Promise<DatasetView>;
  /** The tokens of one sample of a data set of texts, cut to `length`. */
  tokens(dataset: string, backbone: string, sample: number, length: number): Promise<TokenView>;
  thumbnails(id: string, classIndex: number, from: number, count: number): Promise<Thumbnail[]>;
  /** The file that a sample came as. */
  original(id: string, sample: number): Promise<Blob>;
  /** Scores the frozen features by nearest neighbours, computing them when they are not cached yet. */
  neighbours(dataset: string, backbone: string, imageSize: number): Promise<NeighbourScore>;

  /** Settings with this backbone's and this data set's defaults filled in. */
  defaults(dataset: string | null, backbone: string, method: string): Promise<Settings>;
  estimate(plan: RunPlan): Promise<Estimate>;
  /**
   * Makes a run, its plan frozen, and begins it; while another trains it goes to the end of the queue. One that is to
   * `wait` goes there in any case, and begins when the queue comes to it.
   */
  createRun(plan: RunPlan, options?: { wait: boolean }): Promise<RunView>;
  /** Goes on with a run: at once, or as the next one where another trains. */
  resume(run: string): Promise<void>;
  pause(run: string): Promise<void>;
  stop(run: string): Promise<void>;
  /** Puts a waiting run before another one, or last. */
  moveQueued(run: string, before: string | null): Promise<void>;
  /** Lets the queue begin its runs, one after another, or holds it; a run that trains goes on. */
  moveQueue(moves: boolean): Promise<void>;
  turn(run: string, knob: string, value: number): Promise<void>;
  runs(): Promise<RunView[]>;
  curves(run: string): Promise<RunCurves>;
  renameRun(run: string, name: string): Promise<RunView>;
  removeRun(run: string): Promise<void>;
  restoreRun(run: string): Promise<RunView>;

  report(run: string): Promise<Report>;
  spectra(run: string): Promise<Spectrum[]>;
  /** Which weights a sparse method trains. */
  masks(run: string): Promise<MaskView[]>;
  /** Paints in the masks of a run that trains, between two steps, or is paused. */
  editMask(run: string, edit: MaskEdit): Promise<MaskEdited>;
  /** Chooses masks anew by a criterion, at the same moments. */
  renewMasks(run: string, renewal: MaskRenewal): Promise<MaskEdited>;
  /** What a run's adapter would be at other ranks; the run stays as it is. */
  cutRanks(run: string, ranks: Record<string, number>): Promise<RankCut>;
  /** Times one step of a run that trains or rests; the run's numbers stay as they are. */
  profile(run: string): Promise<Profile>;
  /** Classifies one picture with and without the adapter. */
  predict(run: string, sample: Blob | Words): Promise<Prediction>;
  /** The adapter as a zip; `withBase` adds the frozen weights and a loader, `ranks` cuts modules to lower ranks. */
  exportAdapter(
    run: string,
    options: { withBase: boolean; ranks?: Record<string, number> },
  ): Promise<{ name: string; zip: Blob }>;
  /** The backbone with the adapter merged into it and the trained head, as one ONNX file. */
  exportOnnx(run: string): Promise<ModelDownload>;
  /** The same as a Hugging Face folder in a zip. Refuses a method that cannot be merged, with the reason. */
  /** Writes a prompt on with the adapter and without it; `written` events tell of it as it grows. Job `write` stops it. */
  write(run: string, request: WriteRequest): Promise<Written>;
  exportMerged(run: string): Promise<ModelDownload>;
  /** A folder, as a zip, that repeats the run on another machine with PEFT; `withBase` brings the frozen weights along. */
  exportElsewhere(run: string, options: { withBase: boolean }): Promise<ModelDownload>;
  /** What several adapters of one backbone would be, added with weights; `rank` cuts what is of low rank. */
  previewMerge(parts: MergePart[], rank: number | null): Promise<MergePreview>;
  /** Writes that sum as an adapter, or merged into the backbone. */
  exportMerge(
    parts: MergePart[],
    options: { as: 'adapter' | 'model' | 'onnx'; rank: number | null },
  ): Promise<ModelDownload>;
  check(backbone: string): Promise<ReferenceCheck>;
  /** Stops the job of that name (`import`, `hub`, `neighbours`); what was done so far is kept. */
  cancel(job: string): Promise<void>;
}
