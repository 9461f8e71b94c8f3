import type { Words } from './data.ts';
import type { Score } from './runs.ts';

/** What a run is worth, shows and leaves. */

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
  /** Mean loss of a token, and the same before training; where every token is answered. */
  losses?: { loss: number; start: number };
}

/** A sample taken for the wrong class, most confident first. */
export interface Mistake {
  sample: number;
  path: string;
  actual: number;
  predicted: number;
  confidence: number;
  image: Blob;
  /** What a text says; null for pictures and sounds. */
  words: Words | null;
}

/** A text to be written on. */
export interface WriteRequest {
  prompt: string;
  /** Put the prompt as a question, by the model's chat template. */
  chat: boolean;
  /** Most tokens to write. */
  tokens: number;
  /** Divides the logits; 0 always takes the likeliest token. */
  temperature: number;
  /** Only the fewest tokens that together have this share of the probability are drawn from. */
  topP: number;
  seed: number;
}

/** What was written so far. */
export interface Written {
  withAdapter: string;
  withoutAdapter: string;
  done: boolean;
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

export interface ModelDownload {
  name: string;
  file: Blob;
  /** Why the adapter is kept beside the weights instead of merged into them; null where it is merged. */
  kept: string | null;
}

/** One of several adapters to be added. */
export interface MergePart {
  run: string;
  weight: number;
}

/** What becomes of one adapter in the sum, on the pictures that it was trained for. */
export interface MergeScore {
  run: string;
  split: 'val' | 'test';
  /** Alone, as it was. */
  alone: Score;
  /** In the sum, among its own classes: the difference is its concept loss. */
  own: Score;
  /** In the sum, among the classes of all. */
  all: Score;
}

/** Several adapters added with weights. */
export interface MergePreview {
  /** How the sum is kept: factors of low rank, entries of the weights, or only as whole weights. */
  form: 'low-rank' | 'sparse' | 'weights';
  /** Why it is no adapter but only a merged model; null where it is one. */
  onlyMerged: string | null;
  classes: string[];
  /** Numbers of the widest module's sum: its rank, or its entries; null for whole weights. */
  width: number | null;
  /** Share of the sum's squared singular values that `rank` keeps; 1 where nothing is cut. */
  energy: number;
  /** Of the sparse: share of all trained entries that more than one adapter changes. */
  overlap: number | null;
  /** Bytes of the adapter's file; null where it is none. */
  fileBytes: number | null;
  /** A score for each adapter whose pictures are here. */
  scores: MergeScore[];
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
