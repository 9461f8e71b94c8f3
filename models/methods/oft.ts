import {
  add,
  constant,
  div,
  gatherRows,
  matmul,
  mul,
  reduceSum,
  reshape,
  stopGradient,
  sub,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { zerosOf } from './bottleneck.ts';
import { fanIn, loraSettings, matrixTargets } from './loraParts.ts';
import { cayleyChange, skewOf } from './math/cayley.ts';
import { type Attachment, type Method, MethodError } from './method.ts';

interface OftAttachment extends Attachment {
  /** Inputs of each target, and of a block of them. */
  sizes: ReadonlyMap<string, { inputs: number; block: number }>;
}

/**
 * y = W (x R): the inputs of a layer are turned, in blocks of b, by rotations R of trained skew-symmetric Q (Qiu et al.,
 * 2023, section 4; inputs rather than outputs: OFTv2, Qiu et al., 2025). R is Cayley's (I - Q)(I + Q)⁻¹, or the
 * Neumann series of (I + Q)(I - Q)⁻¹, which is what PEFT takes by default. Q starts at zero. Computed as the frozen layer plus W x (R - I).
 */
export const oft: Method = {
  card: {
    id: 'oft',
    title: 'OFT',
    about:
      'Turns the inputs of chosen layers without stretching them, so that the angles between features stay.',
    paper: {
      title: 'Controlling Text-to-Image Diffusion by Orthogonal Finetuning',
      year: 2023,
      url: 'arxiv.org/abs/2306.07280',
    },
    formula: 'W · oft_R.weight:R@square',
    channels: [],
    settings: [
      {
        key: 'oft_block_size',
        label: 'Block size',
        kind: 'integer',
        default: 32,
        min: 2,
        max: 256,
        step: 1,
        scale: 'log',
        primary: true,
        live: false,
        help: 'Features that are turned together; the nearest size that divides a layer’s inputs is taken.',
      },
      {
        key: 'block_share',
        label: 'One rotation for all blocks',
        kind: 'boolean',
        default: false,
        primary: false,
        live: false,
        help: 'Turns every block of a layer alike, which trains fewer numbers.',
      },
      {
        key: 'use_cayley_neumann',
        label: 'Approximate rotation',
        kind: 'boolean',
        default: true,
        primary: false,
        live: false,
        help: 'Computes rotations by a short series, which is faster and for large turns stretches a little.',
      },
      {
        key: 'num_cayley_neumann_terms',
        label: 'Terms of the series',
        kind: 'integer',
        default: 5,
        min: 4,
        max: 16,
        step: 1,
        primary: false,
        live: false,
        help: 'More terms keep approximate rotations closer to true ones.',
      },
      {
        ...loraSettings.scale,
        label: 'Turn',
        help: 'Multiplies how far everything is turned; 0 shows the frozen backbone under the trained head.',
      },
      loraSettings.targets,
    ],
  },

  attach(model, settings): OftAttachment {
    const targets = matrixTargets(model.modules, settings, 'OFT');
    const share = settings.block_share as boolean;
    const sizes = new Map([...targets].map(([path, m]) => [path, sizeOfBlocks(m, settings)]));
    return {
      sizes,
      targets: [...targets.keys()],
      parameters: [...sizes].map(([path, { inputs, block }]) => {
        const shape = [share ? 1 : inputs / block, (block * (block - 1)) / 2];
        return { name: nameOf(path), shape, initial: zerosOf(shape[0] * shape[1]) };
      }),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          const size = sizes.get(call.path);
          if (!size) return null;
          const q = mul(skew(own.parameter(nameOf(call.path)), size.block), own.knob('scale'));
          return add(call.frozen(), call.apply(call.weight, turned(call.x, changeOf(q, termsOf(settings)))));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const [path, { inputs, block }] of (attachment as OftAttachment).sizes) {
      const { shape, data } = tensors.get(nameOf(path))!;
      const changes = Array.from({ length: shape[0] }, (_, k) =>
        cayleyChange(skewOf(data, k * shape[1], block, settings.scale as number), block, termsOf(settings)),
      );
      const weight = await base.weight(`${path}.weight`);
      merged.set(
        `${path}.weight`,
        weight.map((w, at) => {
          const column = at % inputs;
          const [k, i] = [Math.floor(column / block), column % block];
          const change = changes[k % changes.length];
          const from = at - i;
          let sum = w;
          for (let j = 0; j < block; j++) sum += change[i * block + j] * weight[from + j];
          return sum;
        }),
      );
    }
    return merged;
  },

  peft: {
    type: 'OFT',
    write(attachment, settings, tensors) {
      const scale = settings.scale as number;
      const blocks = new Set([...(attachment as OftAttachment).sizes.values()].map((s) => s.block));
      return {
        config: {
          peft_type: 'OFT',
          // Without it PEFT takes a file for one of before 0.18, whose series was another.
          peft_version: '0.21.2',
          r: 0,
          // PEFT warns of a wish that it has to adjust.
          oft_block_size: blocks.size === 1 ? [...blocks][0] : (settings.oft_block_size as number),
          block_share: settings.block_share as boolean,
          use_cayley_neumann: settings.use_cayley_neumann as boolean,
          num_cayley_neumann_terms: settings.num_cayley_neumann_terms as number,
          target_modules: [...attachment.targets].sort(),
        },
        tensors: new Map(
          attachment.targets.map((path) => {
            const { shape, data } = tensors.get(nameOf(path))!;
            return [nameOf(path), { shape, data: data.map((x) => x * scale) }];
          }),
        ),
      };
    },
    read({ config, tensors }) {
      if (config.coft)
        throw new MethodError(
          'The adapter holds its rotations within a limit (coft), which is not read here; merge it into its base with PEFT instead.',
        );
      const paths = [...tensors.keys()].flatMap((name) => /^(.*)\.oft_R\.weight$/.exec(name)?.[1] ?? []);
      if (!paths.length)
        throw new MethodError(
          'The adapter holds no oft_R.weight: it was made by a PEFT before 0.16, whose OFT had another form; train it again.',
        );
      return {
        settings: {
          oft_block_size:
            (config.oft_block_size as number) ||
            oneBlockSize(paths.map((p) => tensors.get(nameOf(p))!.shape[1])),
          block_share: config.block_share === true,
          use_cayley_neumann: config.use_cayley_neumann !== false,
          num_cayley_neumann_terms: Math.max(4, (config.num_cayley_neumann_terms as number | undefined) ?? 5),
          scale: 1,
          target_modules: paths,
        },
        tensors,
      };
    },
  },
};

/** PEFT's name. */
const nameOf = (path: string) => `${path}.oft_R.weight`;

const termsOf = (settings: Settings) =>
  settings.use_cayley_neumann ? (settings.num_cayley_neumann_terms as number) : null;

/** The divisor of the inputs nearest to the wish, the smaller of two, as PEFT chooses it. */
function sizeOfBlocks(module: ModuleCard, settings: Settings) {
  const inputs = fanIn(module);
  const wish = Math.min(settings.oft_block_size as number, inputs);
  let [below, above] = [wish, wish];
  while (inputs % below) below--;
  while (inputs % above) above++;
  const block = wish - below <= above - wish ? below : above;
  if (block < 2)
    throw new MethodError(
      `The ${inputs} inputs of '${module.path}' cannot be divided into blocks of about ${wish}. Choose a larger block size, or leave it out of the target modules.`,
    );
  return { inputs, block };
}

/** The block size of a file that gives a number of blocks instead, by the elements above a block's diagonal. */
function oneBlockSize(elements: readonly number[]): number {
  if (new Set(elements).size > 1)
    throw new MethodError(
      'The adapter has blocks of several sizes, which is not read here; merge it into its base with PEFT instead.',
    );
  return Math.round((1 + Math.sqrt(1 + 8 * elements[0])) / 2);
}

/** [blocks, b (b - 1) / 2] as skew-symmetric [blocks, b, b]. */
function skew(elements: Tensor, b: number): Tensor {
  const [blocks, count] = elements.shape;
  let next = 0;
  // An id beyond the table reads zeros.
  const ids = Uint32Array.from({ length: b * b }, (_, i) => (i % b > Math.floor(i / b) ? next++ : count));
  const rows = gatherRows(transpose(elements, [1, 0]), constant(ids, [b * b]));
  const upper = reshape(transpose(rows, [1, 0]), [blocks, b, b]);
  return sub(upper, transpose(upper, [0, 2, 1]));
}

/** R - I of Q [blocks, b, b]; exactly zero at Q = 0. */
function changeOf(q: Tensor, terms: number | null): Tensor {
  if (terms === null) return mul(matmul(q, inverse(q)), -2);
  let sum = q;
  for (let k = 0; k < terms - 2; k++) sum = add(mul(q, 2), matmul(q, sum));
  return sum;
}

/** Steps that halve the error's exponent: enough for ‖Q‖ up to about 6. */
const NEWTON = 9;

/**
 * (I + Q)⁻¹ by Newton's iteration X ← X (2I - (I + Q) X) from (I - Q) / c, which converges where c is at least 1 + σ²
 * for the largest singular value σ. The last step alone carries the gradient, which is the inverse's own: -X dQ X.
 */
function inverse(q: Tensor): Tensor {
  const [blocks, b] = q.shape;
  const eye = constant(
    Float32Array.from({ length: b * b }, (_, i) => (i % (b + 1) === 0 ? 1 : 0)),
    [1, b, b],
  );
  const still = stopGradient(q);
  // Singular values of a skew-symmetric matrix come in pairs.
  const c = add(mul(reshape(reduceSum(mul(still, still), [1, 2]), [blocks, 1, 1]), 0.5), 1);
  const step = (x: Tensor, of: Tensor) => sub(mul(x, 2), matmul(x, add(x, matmul(of, x))));
  let x = div(sub(eye, still), c);
  for (let k = 0; k < NEWTON; k++) x = step(x, still);
  return step(stopGradient(x), q);
}

/** x [..., blocks × b] times a matrix for each block [blocks | 1, b, b]. */
function turned(x: Tensor, change: Tensor): Tensor {
  const [count, b] = change.shape;
  if (count === 1) return reshape(matmul(reshape(x, [-1, b]), reshape(change, [b, b])), x.shape);
  const blocks = transpose(reshape(x, [-1, count, b]), [1, 0, 2]);
  return reshape(transpose(matmul(blocks, change), [1, 0, 2]), x.shape);
}
