import type { Split } from '../protocol.ts';

/**
 * What a session needs from outside. A browser worker and Node each bring their own; the session imports neither
 * worker globals nor DOM nor Node modules.
 */

/** Bytes under names. `write` is atomic: a name holds the whole old or the whole new content, never a part. */
export interface Files {
  read(name: string): Promise<Uint8Array | null>;
  readRange(name: string, begin: number, end: number): Promise<Uint8Array>;
  /** Throws `StorageFullError` when there is no room; what was there stays. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  append(name: string, bytes: Uint8Array): Promise<void>;
  size(name: string): Promise<number | null>;
  /** Names that begin with `prefix`. */
  list(prefix: string): Promise<string[]>;
  /** Removes every name that begins with `prefix`. */
  remove(prefix: string): Promise<void>;
}

/** The disk, or this site's share of it, is full. */
export class StorageFullError extends Error {
  override name = 'StorageFullError';
  readonly advice =
    'Remove data sets or runs you no longer need, or download what you want to keep and remove it here.';
}

export interface Augmentation {
  /** Number of the view to draw; view k of sample i is a pure function of seed, i and k. */
  view: number;
  seed: number;
}

/** One sample's tensors by the names of the backbone's inputs. */
export type SampleValues = Readonly<Record<string, Float32Array | Uint32Array>>;

/** What finds a sample again outside of the studio: the hash of its file, its text, or its tokens and what they are to say. */
export type SampleRecord =
  | { readonly sha256: string }
  | { readonly text: string; readonly pair?: string }
  | {
      readonly ids: readonly number[];
      readonly decoder?: readonly number[];
      readonly targets: readonly number[];
      readonly counted: readonly number[];
    };

/** Labelled samples of a data set, decoded and prepared for a backbone on demand. */
export interface Dataset {
  readonly classes: readonly string[];
  readonly samples: readonly { path: string; label: number; split: Split }[];
  /** Changes when any sample, label or split does. */
  readonly hash: string;
  /** Samples by the backbone's own preprocessing; `size` is the side of a picture, the tokens of a text, the seconds of a sound. */
  load(samples: readonly number[], size: number, augmentation: Augmentation | null): Promise<SampleValues[]>;
  /** For a run elsewhere; absent for data that cannot be taken there. */
  record?(sample: number, size: number): Promise<SampleRecord>;
}

/** Wall clock and randomness come in, so that a session is a function of its inputs. */
export interface Clock {
  now(): number;
}

/** Runs ONNX graphs on the processor: where there is no real GPU, that is several times faster than any shader. */
export interface OnnxRuntime {
  open(graph: OnnxGraph): Promise<OnnxSession>;
}

export interface OnnxGraph {
  readonly graph: Uint8Array;
  /** Weights that the graph refers to by the name of a file. */
  readonly weights: { readonly name: string; readonly data: Uint8Array } | null;
}

export interface OnnxTensor {
  /** Whole numbers go to ONNX Runtime as int64. */
  readonly data: Float32Array | Uint32Array;
  readonly shape: readonly number[];
}

export interface OnnxSession {
  /** What runs it, with its version, for the record of a run. */
  readonly by: string;
  /** All outputs of one run. */
  run(inputs: Readonly<Record<string, OnnxTensor>>): Promise<Record<string, Float32Array>>;
  close(): Promise<void>;
}
