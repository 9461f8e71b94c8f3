/**
 * The encoder that every engine of the benchmark trains: its shapes, its initial values, its batch and its count of
 * operations, from the table in the peers' README. Written anew here, so that the benchmark runs without the peers
 * and so that agreeing losses say that both descriptions are the same.
 */

export type ModelName = 'vit' | 'bert';

export interface Spec {
  model: ModelName;
  preNorm: boolean;
  depth: number;
  batch: number;
  /** Tokens of a sample, the class token among them. */
  tokens: number;
  dim: number;
  heads: number;
  mlp: number;
  /** Length of a patch that a frozen projection maps to `dim`; 0 where the input is `dim` wide already. */
  patch: number;
  classes: number;
  rank: number;
  /** Factor of the adapters' product: alpha / rank. */
  scale: number;
  /** The lowest block with adapters. */
  adaptedFrom: number;
}

const lora = { rank: 8, scale: 2, adaptedFrom: 0 };
const full: Record<ModelName, Spec> = {
  vit: {
    ...lora,
    model: 'vit',
    preNorm: true,
    depth: 12,
    batch: 8,
    tokens: 197,
    dim: 192,
    heads: 3,
    mlp: 768,
    patch: 768,
    classes: 10,
  },
  bert: {
    ...lora,
    model: 'bert',
    preNorm: false,
    depth: 6,
    batch: 8,
    tokens: 128,
    dim: 384,
    heads: 12,
    mlp: 1536,
    patch: 0,
    classes: 2,
  },
};
const reduced = { vit: { depth: 4, batch: 4 }, bert: { depth: 2, batch: 4 } };

export const optimiser = { lr: 1e-3, decay: 0.01 };

/** Losses of steps 1 to 5 of the reduced forms, as jax-js prints them (the peers' README). */
export const knownLosses: Record<ModelName, number[]> = {
  vit: [2.323337, 2.074392, 1.835231, 1.608351, 1.397791],
  bert: [0.972586, 0.739142, 0.541245, 0.384565, 0.27021],
};

export type Form = 'reduced' | 'full';

/** What a shape may be given instead of the form's own. */
export interface Sizes {
  blocks?: number;
  dim?: number;
  heads?: number;
  tokens?: number;
  batch?: number;
  rank?: number;
  adaptedFrom?: number;
}

/** A shape that cannot be. */
export class ShapeError extends Error {
  override name = 'ShapeError';
}

export function specOf(model: ModelName, form: Form = 'reduced', sizes: Sizes = {}): Spec {
  const base = { ...full[model], ...(form === 'full' ? {} : reduced[model]) };
  const { blocks = base.depth, ...rest } = sizes;
  const given = Object.fromEntries(Object.entries(rest).filter(([, v]) => v !== undefined));
  const spec: Spec = { ...base, ...given, depth: blocks };
  if (sizes.dim !== undefined) spec.mlp = 4 * spec.dim;
  const whole = [spec.depth, spec.dim, spec.heads, spec.tokens, spec.batch, spec.rank];
  if (!whole.every((n) => Number.isInteger(n) && n > 0))
    throw new ShapeError('Blocks, dim, heads, tokens, batch and rank are whole numbers from 1 on.');
  if (spec.dim % 4 || spec.dim % spec.heads)
    throw new ShapeError(`A width of ${spec.dim} is no multiple of 4 and of ${spec.heads} heads.`);
  return spec;
}

/** Uniform values in [0, 1): the generator mulberry32. */
function uniform(seed: number): () => number {
  let s = seed | 0;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normal values of deviation `scale` (Box and Muller, 1958; the cosine of each pair). */
export function normal(count: number, scale: number, seed: number): Float32Array {
  const draw = uniform(seed);
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - draw()));
    return scale * radius * Math.cos(2 * Math.PI * draw());
  });
}

export interface Weight {
  shape: number[];
  data: Float32Array;
}

/** Matrices are [in, out]: y = x W + b. */
export function weightsOf(s: Spec): { frozen: Map<string, Weight>; trained: Map<string, Weight> } {
  const frozen = new Map<string, Weight>();
  const trained = new Map<string, Weight>();
  const count = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
  const drawn = (shape: number[], seed: number, scale = 1 / Math.sqrt(shape[0])): Weight => ({
    shape,
    data: normal(count(shape), scale, seed),
  });
  const filled = (shape: number[], value: number): Weight => ({
    shape,
    data: new Float32Array(count(shape)).fill(value),
  });
  const norm = (name: string) => {
    frozen.set(`${name}.weight`, filled([s.dim], 1));
    frozen.set(`${name}.bias`, filled([s.dim], 0));
  };
  const dense = (name: string, from: number, to: number, seed: number) => {
    frozen.set(`${name}.weight`, drawn([from, to], seed));
    frozen.set(`${name}.bias`, filled([to], 0));
  };
  if (s.patch) {
    dense('embed', s.patch, s.dim, 1);
    frozen.set('cls', drawn([1, 1, s.dim], 2, 0.02));
    frozen.set('pos', drawn([1, s.tokens, s.dim], 3, 0.02));
  }
  norm('norm');
  trained.set('head.weight', drawn([s.dim, s.classes], 4, 0.02));
  trained.set('head.bias', filled([s.classes], 0));
  for (let i = 0; i < s.depth; i++) {
    const seed = 5 + 8 * i;
    norm(`${i}.norm1`);
    norm(`${i}.norm2`);
    ['q', 'k', 'v', 'o'].forEach((n, j) => {
      dense(`${i}.${n}`, s.dim, s.dim, seed + j);
    });
    dense(`${i}.up`, s.dim, s.mlp, seed + 4);
    dense(`${i}.down`, s.mlp, s.dim, seed + 5);
    if (i >= s.adaptedFrom)
      ['q', 'v'].forEach((n, j) => {
        trained.set(`${i}.${n}.a`, drawn([s.dim, s.rank], seed + 6 + j));
        trained.set(`${i}.${n}.b`, filled([s.rank, s.dim], 0));
      });
  }
  return { frozen, trained };
}

/** The one batch that every step sees. x: [batch, tokens without the class token, patch or dim]. */
export function batchOf(s: Spec): { x: Float32Array; shape: number[]; labels: Uint32Array } {
  const draw = uniform(99);
  const shape = s.patch ? [s.batch, s.tokens - 1, s.patch] : [s.batch, s.tokens, s.dim];
  const labels = Uint32Array.from({ length: s.batch }, () => Math.floor(draw() * s.classes));
  return { x: normal(shape[0] * shape[1] * shape[2], 1, 77), shape, labels };
}

/**
 * Multiply-adds, times two, of the products that a step needs where every token's row is computed: no gradient of a
 * frozen weight, none below the lowest adapter. What an engine leaves out beyond that shows as speed.
 */
export function modelFlops(s: Spec): { forward: number; step: number } {
  const rows = s.batch * s.tokens;
  const square = 2 * rows * s.dim * s.dim;
  const mlp = 2 * 2 * rows * s.dim * s.mlp;
  const scores = 2 * rows * s.tokens * s.dim;
  const factor = 2 * 2 * rows * s.dim * s.rank;
  const head = 2 * s.batch * s.dim * s.classes;
  const embed = 2 * s.batch * (s.tokens - 1) * s.patch * s.dim;
  const adapted = s.depth - s.adaptedFrom;
  const forward = embed + s.depth * (4 * square + mlp + 2 * scores) + adapted * 2 * factor + head;
  const block = square + mlp + 4 * scores + 3 * factor;
  const back = adapted * block + (adapted - 1) * (3 * square + factor) + 2 * head - scores;
  return { forward, step: forward + back };
}
