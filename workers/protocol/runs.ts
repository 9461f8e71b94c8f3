import type { MethodPicture, Settings } from '../../models/describe.ts';

/** Plans, runs and their figures. */

/** What went wrong, in a person's words: what was found, what it means, what to do next. */
export interface StudioError {
  name: string;
  message: string;
  /** The next step, when there is one to suggest. */
  advice?: string;
}

/** Everything a run is started from; kept unchanged in its record. */
export interface RunPlan {
  dataset: string;
  backbone: string;
  method: string;
  settings: Settings;
  /** What is learnt; classes where it is not said. The data set says it when a run is made. */
  task?: 'classification' | 'causal-lm' | 'masked-lm';
}

/** The cost of a plan, known before training. */
/** A change of settings that takes less memory. */
export interface Offer {
  /** What it does, as a button says it. */
  label: string;
  settings: Settings;
  /** GPU bytes that the run would take. */
  total: number;
}

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
  /** What looks unwise, in sentences. */
  warnings: string[];
  /** Why this GPU cannot do it, in a sentence or two; null where it can. Costs are then those without its limits. */
  problem: string | null;
  /** Changes that make it fit, or take much less memory where it takes much. */
  offers: Offer[];
  /** Where the adapter attaches, after `target_modules` was resolved. */
  targets: string[];
  /** What the method adds at one of them, in the sizes of this plan. */
  picture?: MethodPicture;
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
  /** Share of the backbone's operations that it adds to every use; 0 where it merges away. */
  extraUse?: number | null;
}

export interface RunView {
  id: string;
  name: string;
  plan: RunPlan;
  datasetName: string;
  /** Hash of the pictures, labels and split it trains on; null for an adapter made elsewhere. */
  dataHash: string | null;
  classes: string[];
  /** An adapter that came without a head: it names no classes, and can be looked at, cut and saved. */
  headless?: true;
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
