import type { BackboneCard, Modality } from '../../models/describe.ts';
import type { RunView } from './runs.ts';

/** Data sets and what a drop was taken for. */

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
  /** The table that its texts came from; null where they are files. */
  table: TableView | null;
}

/** A table of texts, and which of its columns are read. */
export interface TableView {
  columns: string[];
  chosen: TextColumns;
  /** The first ten rows. */
  rows: (string | null)[][];
}

/** Columns of a table by name; `pair` where a sample is two texts. */
export interface TextColumns {
  text: string;
  pair: string | null;
  label: string | null;
  /** What is learnt of the texts: their classes (absent too), to write on, or to fill gaps. */
  task?: 'classification' | 'causal-lm' | 'masked-lm';
}

/** A sample that is a text, or two of them. */
export interface Words {
  text: string;
  pair: string | null;
}

/** A text as one backbone reads it. */
export interface TokenView {
  sample: number;
  words: Words;
  /** Its tokens in order; those that frame the text are special. */
  pieces: { text: string; special: boolean }[];
  /** Tokens that the length leaves out. */
  cut: number;
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
  /** The picture, or the sound's spectrogram, at most 96 px on its longer side; empty for a text. */
  image: Blob;
  /** What a text says; null for pictures and sounds. */
  words: Words | null;
}
