/**
 * Plain, serialisable descriptions of backbones, methods and their settings. The page builds its forms and
 * pictures from these; it never imports the code behind them.
 */

/** One knob. Its default, range, unit and effect are all a form needs; validation uses the same fields. */
export interface Setting {
  key: string;
  label: string;
  kind: 'integer' | 'number' | 'boolean' | 'choice' | 'modules';
  default: number | boolean | string | string[];
  min?: number;
  max?: number;
  step?: number;
  /** How a slider maps to the value; `log` for learning rates. */
  scale?: 'linear' | 'log';
  options?: { value: string; label: string }[];
  unit?: string;
  /** One plain sentence: what turning it does. */
  help: string;
  /** Shown without opening the fold. At most five of a form's settings are. */
  primary: boolean;
  /** Takes effect at the next step of a running training. */
  live: boolean;
  /** What a backbone must read for it to be asked; absent where that does not matter. */
  modality?: Modality;
}

/** What kind of data a backbone reads. */
export type Modality = 'image' | 'text' | 'audio';

export type Settings = Record<string, number | boolean | string | string[]>;

/** A module that a method can attach to. */
export interface ModuleCard {
  /** Path in the Hugging Face (or timm) module tree, e.g. `vit.layers.0.attention.q_proj`. */
  path: string;
  kind: 'linear' | 'conv2d';
  /** Weight shape as stored: [out, in] or [out, in / groups, kh, kw]. */
  shape: number[];
  /** A convolution in groups (depthwise ones included). */
  grouped: boolean;
  /** Index of the block it lies in, for drawing; -1 before the first, `blocks` after the last. */
  block: number;
}

/** What a block adds to its input: attention, perceptron, or a convolutional block as a whole. */
export interface BranchCard {
  /** Path of the module that computes it, e.g. `vit.layers.0.mlp`. */
  path: string;
  kind: 'attention' | 'mlp' | 'conv';
  /** Features of the stream it is added to. */
  width: number;
  block: number;
}

/** A self-attention. */
export interface AttentionCard {
  /** Path of its module, e.g. `vit.layers.0.attention`. */
  path: string;
  heads: number;
  /** Features of queries, and of keys, all heads together. */
  width: number;
  keyWidth: number;
  block: number;
}

/** Brings a part of a module's weight into a sparse method's mask, or takes it out; ends of rows and columns are not included. */
export interface MaskEdit {
  path: string;
  mode: 'in' | 'out';
  part: { top: number; left: number; bottom: number; right: number };
}

/** Chooses the masks of a sparse method anew; what is in the old and the new one keeps its value. */
export interface MaskRenewal {
  /** Modules by path; null for all. */
  paths: string[] | null;
  /** A value of the method's own setting for its mask, e.g. `snip`. */
  criterion: string;
  /** Share of each module's weights, in per cent; up to what the run began with. */
  density: number;
  /** Start of what is drawn. */
  seed: number;
}

/** A named choice of target modules, e.g. "query and value". */
export interface ModulePreset {
  id: string;
  label: string;
  /** Suffixes or full paths, in PEFT's `target_modules` sense. */
  targets: string[];
}

export interface BackboneCard {
  id: string;
  title: string;
  family: string;
  /** One sentence: where its weights come from and what they know. */
  about: string;
  licence: string;
  source: string;
  parameters: number;
  /** Bytes of the weight file. */
  bytes: number;
  blocks: number;
  modules: ModuleCard[];
  presets: ModulePreset[];
  /** What it reads. */
  modality: Modality;
  /** Side of a picture, tokens of a text or seconds of a sound: default and allowed multiples; the setting that holds it. */
  size: {
    default: number;
    min: number;
    max: number;
    multiple: number;
    unit: 'px' | 'tokens' | 's';
    setting: string;
  };
  /** Tasks that it has heads for, by id. */
  tasks: string[];
  /** Training settings that fit this backbone, by key; they override the general defaults. */
  defaults: Settings;
}

/** Where in a block a method steps in. */
export type PicturePlace =
  | 'tokens'
  | 'norms'
  | 'biases'
  | 'attention'
  | 'attention weights'
  | 'mlp'
  | 'mlp weights'
  | 'block'
  | 'convolutions'
  | 'head';

/** One sign or thing of a method's picture. */
export type PictureTerm =
  | { kind: 'sign'; text: string }
  /** A frozen part of the block as a whole. */
  | { kind: 'box'; label: string }
  | {
      kind: 'tensor';
      label: string;
      rows: number;
      columns: number;
      /** Frozen weight, trained, or given and not trained (a start, a random basis). */
      state: 'frozen' | 'learns' | 'given';
      /** Whole, or as entries, columns or a square upon the frozen weight. */
      drawn: 'whole' | 'entries' | 'columns' | 'square';
      /** Numbers it has, as a share of what is drawn. */
      share?: number;
    };

/** What a method computes at one place, and where in a block that place is. */
export interface MethodPicture {
  at: PicturePlace[];
  /** The module or branch that is drawn; empty where there is none. */
  path: string;
  terms: PictureTerm[];
}

export interface MethodCard {
  id: string;
  title: string;
  /** One sentence in plain words. */
  about: string;
  paper?: { title: string; year: number; url: string };
  settings: Setting[];
  /** Channels its runs fill, named as in `Channel`. */
  channels: string[];
  /** How what it adds stands beside what is frozen: the words are explained in `models/methods/picture.ts`. */
  formula?: string;
  /** The formula with what the method declares, on a small transformer. */
  picture?: MethodPicture;
  /** Why it cannot be folded into the weights, so that it costs time at every use. */
  unmergeable?: string;
}
