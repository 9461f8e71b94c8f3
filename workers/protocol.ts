import type { BackboneCard, MaskEdit, MethodCard, Modality, Setting, Settings } from '../models/describe.ts';
import type { HubRequest, StoredBackbone } from './hub/describe.ts';

export type { MaskEdit } from '../models/describe.ts';
export type { HubRequest, StoredBackbone } from './hub/describe.ts';

/**
 * The contract between the page and the engine worker: everything here is plain data that survives a structured
 * clone. Every command names what it acts on; long ones report through `StudioEvent`s, coalesced to at most ten a
 * second, and can be cancelled. Errors cross as `StudioError`.
 */

/** What went wrong, in a person's words: what was found, what it means, what to do next. */
export interface StudioError {
  name: string;
  message: string;
  /** The next step, when there is one to suggest. */
  advice?: string;
}

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

// ---- data sets ----------------------------------------------------------------------------------------------

/** A dropped file with the path it had inside the dropped folder. */
export interface DroppedFile {
  path: string;
  file: File;
}

/** What a drop was taken for. */
export type Understood =
  | { kind: 'dataset'; sentence: string; dataset: DatasetView }
  | { kind: 'adapter'; sentence: string; run: RunView }
  | { kind: 'backbone'; sentence: string; backbone: BackboneCard }
  | { kind: 'nothing'; sentence: string; rejected: Rejected[] };

export interface Rejected {
  path: string;
  reason: string;
}

export type Split = 'train' | 'val' | 'test';

export interface ClassView {
  index: number;
  name: string;
  counts: Record<Split, number>;
}

export interface DatasetView {
  id: string;
  /** What its samples are. */
  kind: Modality;
  name: string;
  createdAt: number;
  /** Changes with every edit: runs keep the hash they were started with. */
  hash: string;
  classes: ClassView[];
  counts: Record<Split, number>;
  split: SplitSettings;
  rejected: Rejected[];
  /** What was understood and what to beware of, in sentences. */
  notes: string[];
  canUndo: boolean;
  bytes: number;
}

export interface SplitSettings {
  /** Fractions of the samples for which the folder names no split. */
  val: number;
  test: number;
  seed: number;
  /** True when train/val/test folders were found and are used. */
  fromFolders: boolean;
}

export type DatasetEdit =
  | { kind: 'rename-class'; index: number; name: string }
  | { kind: 'merge-classes'; indices: number[]; name: string }
  | { kind: 'drop-class'; index: number }
  | { kind: 'set-split'; val: number; test: number; seed: number; fromFolders: boolean }
  | { kind: 'add-class'; name: string }
  | { kind: 'remove-sample'; sample: number };

export interface Thumbnail {
  sample: number;
  path: string;
  split: Split;
  /** How long a sound lasts; null for what has no length. */
  seconds: number | null;
  /** The picture, or the sound's spectrogram, at most 96 px on its longer side. */
  image: Blob;
}

// ---- runs ---------------------------------------------------------------------------------------------------

/** Everything a run is started from; kept unchanged in its record. */
export interface RunPlan {
  dataset: string;
  backbone: string;
  method: string;
  settings: Settings;
}

/** The cost of a plan, known before training. */
export interface Estimate {
  trainableParameters: number;
  totalParameters: number;
  /** GPU bytes: frozen weights, planned arena, optimiser, cached features. */
  memory: { weights: number; activations: number; optimiser: number; cache: number; total: number };
  /** Bytes of adapter_model.safetensors. */
  fileBytes: number;
  /** Null until a step has been timed on this machine. */
  seconds: number | null;
  steps: number;
  /** Share of the step's multiply-adds that the frozen prefix saves, 0 to 1. */
  frozenShare: number;
  /** What does not fit or looks unwise, in sentences. */
  warnings: string[];
  /** Where the adapter attaches, after `target_modules` was resolved. */
  targets: string[];
}

export type RunState =
  | 'queued'
  | 'preparing'
  | 'running'
  | 'paused'
  | 'stopped'
  | 'interrupted'
  | 'failed'
  | 'done'
  /** An adapter made elsewhere or in an earlier visit and dropped on the page. */
  | 'imported';

/** What a run costs; null where it is not known. Planned when the run is made, measured once it has trained. */
export interface RunFigures {
  /** Numbers that learn, the head's among them. */
  trainableParameters: number | null;
  /** GPU bytes that the plan takes at its peak; null where no GPU trains. */
  peakBytes: number | null;
  /** Bytes of the adapter's file. */
  fileBytes: number | null;
  /** Median of its steps' milliseconds. */
  stepMs: number | null;
}

export interface RunView {
  id: string;
  name: string;
  plan: RunPlan;
  datasetName: string;
  /** Hash of the pictures, labels and split it trains on; null for an adapter made elsewhere. */
  dataHash: string | null;
  classes: string[];
  createdAt: number;
  state: RunState;
  /** While it waits: runs begin in the order of these numbers. */
  place?: number;
  error?: StudioError;
  progress: Progress;
  latest?: StepPoint;
  best?: { step: number; accuracy: number };
  /** The best accuracy on validation, with its interval. */
  val?: Score;
  test?: Score;
  /** The linear probe on the same frozen features, once it has been scored. */
  probe?: Score;
  figures: RunFigures;
}

export interface Progress {
  /** What is being done, e.g. "Reading pictures", "Computing frozen features", "Training". */
  phase: string;
  done: number;
  total: number;
  unit: string;
  perSecond: number | null;
  secondsLeft: number | null;
}

/** A training step's figures. `loss` is the batch mean. */
export interface StepPoint {
  step: number;
  loss: number;
  accuracy: number;
  lr: number;
  gradNorm: number;
  ms: number;
}

export interface EvalPoint {
  step: number;
  split: 'train' | 'val';
  loss: number;
  accuracy: number;
}

/** A fraction of `n` samples with its 95 % Wilson interval. */
export interface Score {
  accuracy: number;
  low: number;
  high: number;
  n: number;
}

export interface RunCurves {
  steps: StepPoint[];
  evals: EvalPoint[];
  /** Knob moves while it ran. */
  journal: { step: number; knob: string; value: number }[];
}

export interface ClassReport {
  name: string;
  precision: number;
  recall: number;
  f1: number;
  support: number;
}

export interface Report {
  split: 'val' | 'test';
  score: Score;
  baseScore: Score | null;
  /** confusion[true][predicted], counts. */
  confusion: number[][];
  classes: ClassReport[];
  mistakes: Mistake[];
}

/** A sample taken for the wrong class, most confident first. */
export interface Mistake {
  sample: number;
  path: string;
  actual: number;
  predicted: number;
  confidence: number;
  image: Blob;
}

/** Singular values of one adapted module's update (scale × B·A), largest first. */
export interface Spectrum {
  path: string;
  shape: number[];
  values: number[];
}

/** Kernels of one training step that go by one name. */
export interface KernelTime {
  label: string;
  /** Dispatches. */
  count: number;
  /** GPU time of all of them. */
  ms: number;
  /** Operations, a multiply-add being two; 0 where they are not counted. */
  flops: number;
  /** What they bind, each binding once. */
  bytes: number;
}

/** One training step timed on the GPU, kernel by kernel. */
export interface Profile {
  /** Steps that were done when it was taken. */
  step: number;
  /** The longest first. */
  kernels: KernelTime[];
  /** Operations a second of a plain product on this device: the floor under a step's time. */
  productRate: number;
}

/** An adapter as it would be with some modules' updates cut to lower ranks. */
export interface RankCut {
  /** Rank by module path; a module that is not named keeps its own. */
  ranks: Record<string, number>;
  split: 'val' | 'test';
  score: Score | null;
  /** Bytes of adapter_model.safetensors. */
  fileBytes: number;
  /** Share of the updates' squared singular values that is kept. */
  energy: number;
}

/** The weights of one module that a sparse method trains. */
export interface MaskView {
  path: string;
  /** The weight seen as a matrix: outputs × inputs. */
  rows: number;
  columns: number;
  /** Flat positions of the trained weights, ascending. */
  indices: Uint32Array;
}

/** Masks after an edit, and what it did to the score on the validation pictures (else the test's); null without any. */
export interface MaskEdited {
  masks: MaskView[];
  before: Score | null;
  after: Score | null;
}

export interface Prediction {
  classes: string[];
  withAdapter: number[];
  /** The frozen backbone with the linear probe's head. Null when no probe was fitted (imported adapters). */
  withoutAdapter: number[] | null;
  thumbnail: Blob;
  ms: number;
}

export interface OnnxDownload {
  name: string;
  onnx: Blob;
  /** Why the adapter is kept beside the weights instead of merged into them; null where it is merged. */
  kept: string | null;
}

/** Our logits against onnxruntime-web's on the same input. */
export interface ReferenceCheck {
  maxRelativeError: number;
  samples: number;
  tolerance: number;
  passed: boolean;
}

/** What the frozen backbone alone knows: k nearest neighbours on its features. */
export interface NeighbourScore extends Score {
  dataset: string;
  backbone: string;
  k: number;
}

// ---- events and commands --------------------------------------------------------------------------------------

export type StudioEvent =
  | { kind: 'progress'; job: string; progress: Progress }
  | { kind: 'run'; run: RunView }
  | { kind: 'points'; run: string; epoch: number; steps: StepPoint[]; evals: EvalPoint[] }
  | { kind: 'spectra'; run: string; step: number; spectra: Spectrum[] }
  | { kind: 'neighbours'; score: NeighbourScore }
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
  removeDataset(id: string): Promise<void>;
  restoreDataset(id: string): Promise<DatasetView>;
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
  /** What a run's adapter would be at other ranks; the run stays as it is. */
  cutRanks(run: string, ranks: Record<string, number>): Promise<RankCut>;
  /** Times one step of a run that trains or rests; the run's numbers stay as they are. */
  profile(run: string): Promise<Profile>;
  /** Classifies one picture with and without the adapter. */
  predict(run: string, picture: Blob): Promise<Prediction>;
  /** The adapter as a zip; `withBase` adds the frozen weights and a loader, `ranks` cuts modules to lower ranks. */
  exportAdapter(
    run: string,
    options: { withBase: boolean; ranks?: Record<string, number> },
  ): Promise<{ name: string; zip: Blob }>;
  /** The backbone with the adapter merged into it and the trained head, as one ONNX file. */
  exportOnnx(run: string): Promise<OnnxDownload>;
  check(backbone: string): Promise<ReferenceCheck>;
  /** Stops the job of that name (`import`, `hub`, `neighbours`); what was done so far is kept. */
  cancel(job: string): Promise<void>;
}
