import {
  add,
  concat,
  gelu,
  linear,
  matmul,
  reshape,
  slice,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';
import type { BranchCard, Settings } from '../describe.ts';
import { kaiming, zerosOf } from './bottleneck.ts';
import { type AddedParameter, type AttachmentScope, MethodError } from './method.ts';

/** The two layers of an adapter. */
export const sides = ['down', 'up'] as const;
export type Side = (typeof sides)[number];

/** One layer of one adapter: its sizes, and for how many tasks it has weights of its own. */
export interface Piece {
  path: string;
  side: Side;
  /** Features of the branch. */
  features: number;
  out: number;
  inputs: number;
  /** 1 where all tasks share it. */
  copies: number;
  /** Number of its branch among those adapted. */
  place: number;
}

/** How the weights of all pieces are parametrised. */
export interface Form {
  /** Widths of bottlenecks are multiples of this, as features must be. */
  multiple(settings: Settings): number;
  parameters(pieces: readonly Piece[], settings: Settings): AddedParameter[];
  /** Weights [copies, out × in] and biases [copies, out] of a piece. */
  weights(own: AttachmentScope, piece: Piece, settings: Settings): { weight: Tensor; bias: Tensor };
}

const nameOf = ({ path, side }: Piece, what: string) => `${path}.adapter.${side}.${what}`;

/** Rows of tasks that a batch does not have are left alone, as they would be if tasks came one at a time. */
const ruleOf = ({ copies }: Pick<Piece, 'copies'>) => (copies > 1 ? { rule: { sparse: true } } : {});

const biasOf = (piece: Piece): AddedParameter => ({
  name: nameOf(piece, 'bias'),
  shape: [piece.copies, piece.out],
  initial: zerosOf(piece.copies * piece.out),
  ...ruleOf(piece),
});

/** Weights as they are. */
const plain: Form = {
  multiple: () => 1,
  parameters: (pieces) =>
    pieces.flatMap((piece) => {
      const { copies, out, inputs, side } = piece;
      const count = copies * out * inputs;
      const initial = side === 'up' ? zerosOf(count) : kaiming(count, inputs);
      return [
        { name: nameOf(piece, 'weight'), shape: [copies, out, inputs], initial, ...ruleOf(piece) },
        biasOf(piece),
      ];
    }),
  weights: (own, piece) => ({
    weight: reshape(own.parameter(nameOf(piece, 'weight')), [piece.copies, piece.out * piece.inputs]),
    bias: own.parameter(nameOf(piece, 'bias')),
  }),
};

const RULE = 'compacter.rule';

/**
 * Compacter (Karimi Mahabadi et al., 2021, eqs. 4–5): W = Σ_i A_i ⊗ l_i r_iᵀ, with n matrices A_i [n, n] that all
 * adapters share and vectors l_i [out / n], r_i [in / n] of each.
 */
const compacter: Form = {
  multiple: (settings) => settings.kronecker as number,
  parameters(pieces, settings) {
    const n = settings.kronecker as number;
    const uniform = (count: number, bound: number): AddedParameter['initial'] =>
      kaiming(count, 1 / bound ** 2);
    return [
      // Variances 1/n, 1 and 1/(3 in) give W the spread of a plain layer.
      { name: RULE, shape: [n, n, n], initial: uniform(n ** 3, Math.sqrt(3 / n)) },
      ...pieces.flatMap((piece) => {
        const { copies, out, inputs, side } = piece;
        const left = copies * out;
        return [
          {
            name: nameOf(piece, 'left'),
            shape: [copies, n, out / n],
            initial: side === 'up' ? zerosOf(left) : uniform(left, Math.sqrt(3)),
            ...ruleOf(piece),
          },
          {
            name: nameOf(piece, 'right'),
            shape: [copies, n, inputs / n],
            initial: kaiming(copies * inputs, inputs),
            ...ruleOf(piece),
          },
          biasOf(piece),
        ];
      }),
    ];
  },
  weights(own, piece, settings) {
    const n = settings.kronecker as number;
    const { copies, out, inputs } = piece;
    const [rows, columns] = [out / n, inputs / n];
    const left = reshape(own.parameter(nameOf(piece, 'left')), [copies * n, rows, 1]);
    const right = reshape(own.parameter(nameOf(piece, 'right')), [copies * n, 1, columns]);
    // Σ_i A_i[a, c] (l_i r_iᵀ)[b, e] as one product over i, then W[(a, b), (c, e)].
    const outer = reshape(matmul(left, right), [copies, n, rows * columns]);
    const rule = reshape(own.parameter(RULE), [n, n * n]);
    const products = matmul(transpose(outer, [0, 2, 1]), rule);
    const ordered = transpose(reshape(products, [copies, rows, columns, n, n]), [0, 3, 1, 4, 2]);
    return {
      weight: reshape(ordered, [copies, out * inputs]),
      bias: own.parameter(nameOf(piece, 'bias')),
    };
  },
};

const hyper = {
  tasks: (side: Side) => `hyperformer.${side}.tasks`,
  places: 'hyperformer.places',
  project: 'hyperformer.project',
  generator: ({ side, features }: Piece) => `hyperformer.${side}.${features}.weight`,
};

/**
 * Hyperformer (Karimi Mahabadi et al., 2021): one network makes the weights of every adapter from an embedding of the
 * task and one of the place. Branches of one width share its last layer. Between its layers is a GELU: of so few
 * units, a ReLU may leave none alive.
 */
const hyperformer: Form = {
  multiple: () => 1,
  parameters(pieces, settings) {
    const e = settings.embedding as number;
    const embedding = (name: string, count: number) => ({
      name,
      shape: [count, e],
      initial: kaiming(count * e, 1 / 3),
    });
    const places = Math.max(...pieces.map((p) => p.place)) + 1;
    const generators = new Map(pieces.map((p) => [hyper.generator(p), p]));
    return [
      ...sides.map((side) => embedding(hyper.tasks(side), pieces.find((p) => p.side === side)!.copies)),
      embedding(hyper.places, places),
      { name: `${hyper.project}.weight`, shape: [e, 2 * e], initial: kaiming(2 * e * e, 2 * e) },
      { name: `${hyper.project}.bias`, shape: [e], initial: zerosOf(e) },
      ...[...generators].map(([name, { out, inputs, side }]) => {
        const count = out * (inputs + 1) * e;
        // What it reads has a mean square of about 1/8: the weights made then spread as a plain layer's.
        return {
          name,
          shape: [out * (inputs + 1), e],
          initial: side === 'up' ? zerosOf(count) : kaiming(count, (e * inputs) / 8),
        };
      }),
    ];
  },
  weights(own, piece, settings) {
    const e = settings.embedding as number;
    const { copies, out, inputs, place } = piece;
    const tasks = own.parameter(hyper.tasks(piece.side));
    const here = slice(own.parameter(hyper.places), [place, 0], [1, e]);
    const read = concat([tasks, copies > 1 ? concat(Array(copies).fill(here), 0) : here], 1);
    const project = linear(
      read,
      own.parameter(`${hyper.project}.weight`),
      own.parameter(`${hyper.project}.bias`),
    );
    const made = linear(gelu(project), own.parameter(hyper.generator(piece)));
    return {
      weight: slice(made, [0, 0], [copies, out * inputs]),
      bias: slice(made, [0, out * inputs], [copies, out]),
    };
  },
};

export const forms: Readonly<Record<string, Form>> = { adapter: plain, compacter, hyperformer };

/** The pieces of adapters of D / reduction features on branches. Throws `MethodError` where they cannot be divided. */
export function piecesOf(
  branches: readonly BranchCard[],
  copies: Readonly<Record<Side, number>>,
  settings: Settings,
): Piece[] {
  const multiple = forms[settings.form as string].multiple(settings);
  return branches.flatMap(({ path, width: features }, place) => {
    if (features % multiple)
      throw new MethodError(
        `The ${features} features of '${path}' cannot be divided into ${multiple} Kronecker parts. Choose a number of parts that divides them.`,
      );
    const width = multiple * Math.max(1, Math.round(features / (settings.reduction as number) / multiple));
    return sides.map((side) => {
      const [out, inputs] = side === 'down' ? [width, features] : [features, width];
      return { path, side, features, out, inputs, copies: copies[side], place };
    });
  });
}

/** x [B, …, in] through each picture's own weights: [B, out, in], bias [B, out]. */
export function linearPerPicture(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [batch, out, inputs] = weight.shape;
  const rows = reshape(x, [batch, -1, inputs]);
  const y = add(matmul(rows, weight, { tb: true }), reshape(bias, [batch, 1, out]));
  return reshape(y, [...x.shape.slice(0, -1), out]);
}
