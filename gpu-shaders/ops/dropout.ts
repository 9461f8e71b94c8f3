import type { Op } from '../graph/op.ts';
import { type Shape, ShapeError, sizeOf, type Tensor, trace } from '../graph/tensor.ts';
import { fill, mul } from './elementwise.ts';
import { slice } from './layout.ts';

/** The word that all random numbers of a step come from, u32 [1], from [seed, step]. */
const keyOp: Op = {
  name: 'stepKey',
  infer: () => [{ shape: [1], dtype: 'u32' }],
  lower: {
    kind: 'point',
    body: (w) => {
      w.use('stepKey');
      return `  let value = step_key(${w.read(0, '0u')}, ${w.read(0, '1u')});`;
    },
  },
};

/** One key tensor for each seed tensor, so that all sites of a trace share one dispatch. */
const keys = new WeakMap<Tensor, Tensor>();

function keyOf(seed: Tensor): Tensor {
  let key = keys.get(seed);
  if (!key) {
    if (seed.dtype !== 'u32' || !/^[23]$/.test(`${seed.shape}`))
      throw new ShapeError(
        `A random seed is u32 [2] (seed, step) or [3] (seed, step, part), not ${seed.dtype} [${seed.shape}].`,
      );
    key = trace(keyOp, [seed], undefined)[0];
    keys.set(seed, key);
  }
  return key;
}

/** Which part of a step's samples this is, u32 [1], where the seed tells. */
const parts = new WeakMap<Tensor, Tensor>();

function drawnFrom(seed: Tensor): { key: Tensor; part: Tensor[] } {
  if (seed.shape[0] === 2) return { key: keyOf(seed), part: [] };
  if (!parts.has(seed)) parts.set(seed, slice(seed, [2], [1]));
  return { key: keyOf(seed), part: [parts.get(seed)!] };
}

/** The element of the whole step's mask: those of the parts before this one lie before it. */
const elementOf = (index: string, { shape }: DrawAttrs, part?: string) =>
  part ? `${index} + ${part} * ${sizeOf(shape)}u` : index;

interface DrawAttrs {
  shape: Shape;
  site: number;
}

/** Inputs: key, probability of zero, part of the step if any. 1 / (1 - p) where kept, else 0. */
const mask = (name: string, inline: boolean): Op<DrawAttrs> => ({
  name,
  infer: (_, a) => [{ shape: a.shape, dtype: 'f32' }],
  lower: {
    kind: 'map',
    inline,
    helpers: ['uniform'],
    expr: ([key, p, part], a, index) =>
      `select(0.0, 1.0 / max(1.0 - ${p}, 1e-6), uniform_at(${key}, ${a.site >>> 0}u, ${elementOf(index, a, part)}) >= ${p})`,
  },
});
const elementMaskOp = mask('dropoutMask', true);
// A mask for whole samples is broadcast, so it must lie in memory.
const sampleMaskOp = mask('dropPathMask', false);

const uniformOp: Op<DrawAttrs> = {
  name: 'uniform',
  infer: (_, a) => [{ shape: a.shape, dtype: 'f32' }],
  lower: {
    kind: 'map',
    helpers: ['uniform'],
    expr: ([key, part], a, index) => `uniform_at(${key}, ${a.site >>> 0}u, ${elementOf(index, a, part)})`,
  },
};

const probability = (p: number | Tensor) => (typeof p === 'number' ? fill([], p) : p);

/**
 * Inverted dropout: each element is zero with probability p, else divided by 1 - p. `seed` is a u32 [2] input
 * (seed, step) given anew each step; the same (seed, step, site) draws the same mask, so backward draws it again
 * instead of storing it. `site` tells the dropouts of one trace apart. p may be a scalar input. Where a step runs in
 * parts of equal shape, a third number of the seed is the part's index, and each part draws its own of the whole's masks.
 */
export function dropout(x: Tensor, p: number | Tensor, seed: Tensor, site: number): Tensor {
  if (p === 0) return x;
  const { key, part } = drawnFrom(seed);
  return mul(x, trace(elementMaskOp, [key, probability(p), ...part], { shape: x.shape, site })[0]);
}

/** Stochastic depth: dropout of whole samples (the first axis of x). See `dropout`. */
export function dropPath(x: Tensor, p: number | Tensor, seed: Tensor, site: number): Tensor {
  if (p === 0) return x;
  const shape = x.shape.map((n, i) => (i === 0 ? n : 1));
  const { key, part } = drawnFrom(seed);
  return mul(x, trace(sampleMaskOp, [key, probability(p), ...part], { shape, site })[0]);
}

/** Uniform numbers in [0, 1), a function of (seed, step, site, element) alone. See `dropout`. */
export function uniform(shape: Shape, seed: Tensor, site: number): Tensor {
  const { key, part } = drawnFrom(seed);
  return trace(uniformOp, [key, ...part], { shape, site })[0];
}
