import type { Op } from '../graph/op.ts';
import { type Node, ShapeError, sizeOf, type Tensor, type TensorType, trace } from '../graph/tensor.ts';
import { matmulKernel } from '../kernels/matmul.ts';
import { reshape } from './reshape.ts';

export interface MatmulAttrs {
  /** Whether the last two axes of a, of b, are stored transposed. */
  ta: boolean;
  tb: boolean;
}

/** The sizes of a product: `batch` products of [m, k] and [k, n]; `shared` when all use the same b. */
export interface MatmulSizes {
  batch: number;
  m: number;
  n: number;
  k: number;
  sharedB: boolean;
}

export function matmulSizes(a: TensorType, b: TensorType, { ta, tb }: MatmulAttrs): MatmulSizes {
  const [ra, rb] = [a.shape.length, b.shape.length];
  const [am, ak] = ta ? [a.shape[ra - 1], a.shape[ra - 2]] : [a.shape[ra - 2], a.shape[ra - 1]];
  const [bk, bn] = tb ? [b.shape[rb - 1], b.shape[rb - 2]] : [b.shape[rb - 2], b.shape[rb - 1]];
  const lead = a.shape.slice(0, -2);
  const sharedB = rb === 2;
  if (
    ra < 2 ||
    rb < 2 ||
    ak !== bk ||
    (sharedB && ta && ra > 2) ||
    (!sharedB && `${lead}` !== `${b.shape.slice(0, -2)}`)
  )
    throw new ShapeError(`matmul: [${a.shape}]${ta ? 'ᵀ' : ''} and [${b.shape}]${tb ? 'ᵀ' : ''} do not fit.`);
  // All leading axes of a are rows of one product with a shared b.
  return sharedB
    ? { batch: 1, m: sizeOf(lead) * am, n: bn, k: ak, sharedB }
    : { batch: sizeOf(lead), m: am, n: bn, k: ak, sharedB };
}

const matmulOp: Op<MatmulAttrs> = {
  name: 'matmul',
  infer: ([a, b], attrs) => {
    const { n } = matmulSizes(a, b, attrs);
    const m = attrs.ta ? a.shape.at(-1)! : a.shape.at(-2)!;
    return [{ shape: [...a.shape.slice(0, -2), m, n], dtype: 'f32' }];
  },
  gradient: ({ inputs: [a, b], dys, attrs: { ta, tb }, wants }) => {
    const dy = dys[0]!;
    // y = op(a) op(b): da = dy op(b)ᵀ, db = op(a)ᵀ dy, each transposed back where its factor was.
    const da = !wants[0] ? null : ta ? matmul(b, dy, { ta: tb, tb: true }) : matmul(dy, b, { tb: !tb });
    return [da, wants[1] ? gradientOfB(a, b, dy, ta, tb) : null];
  },
  narrow: ({ inputs: [a, b], outputs: [y], attrs }, { begin, shape }) => {
    // Rows of a product with a shared factor stand alone.
    if (b.shape.length !== 2 || attrs.ta || shape.at(-1) !== y.shape.at(-1)) return null;
    const rows = { begin, shape: [...shape.slice(0, -1), a.shape.at(-1)!] };
    return { inputs: [rows, null], attrs };
  },
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, attrs) => matmulKernel(w, matmulSizes(w.inputs[0], w.inputs[1], attrs), attrs),
    flops: ({ inputs: [a, b], attrs }) => {
      const s = matmulSizes(a, b, attrs);
      return 2 * s.batch * s.m * s.n * s.k;
    },
  },
};

export const isMatmul = (node: Node): boolean => node.op === matmulOp;

function gradientOfB(a: Tensor, b: Tensor, dy: Tensor, ta: boolean, tb: boolean): Tensor {
  // A shared b sees all leading axes as rows.
  const shared = b.shape.length === 2;
  const rows = shared ? reshape(a, ta ? a.shape : [-1, a.shape.at(-1)!]) : a;
  const dyRows = shared ? reshape(dy, [-1, dy.shape.at(-1)!]) : dy;
  return tb ? matmul(dyRows, rows, { ta: true, tb: ta }) : matmul(rows, dyRows, { ta: !ta });
}

/**
 * Product over the last two axes: a [..., m, k], b [k, n] shared or [..., k, n] with the same leading axes; `ta`,
 * `tb` read them as stored transposed (`ta` not with leading axes and a shared b). b may be f16. Result [..., m, n].
 */
export function matmul(a: Tensor, b: Tensor, { ta = false, tb = false }: Partial<MatmulAttrs> = {}): Tensor {
  return trace(matmulOp, [a, b], { ta, tb })[0];
}
