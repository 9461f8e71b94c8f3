import { type Band, bandOf, isFrozen } from '../graph/leaves.ts';
import { rewrite } from '../graph/rewrite.ts';
import { byteSize, type Tensor } from '../graph/tensor.ts';
import { add } from '../ops/elementwise.ts';
import { embedding, isGather } from '../ops/gather.ts';
import { concat, slice } from '../ops/layout.ts';
import { isMatmul, matmul } from '../ops/matmul.ts';
import { rootOf } from './fuse.ts';

/** WebGPU's default minStorageBufferOffsetAlignment, in bytes. */
const ALIGN = 256;

/**
 * The same outputs with products by frozen matrices that are too large to bind taken in bands of rows: y = xWᵀ side by
 * side, dx = dy W as a sum; rows looked up in such a table likewise, all bands but an id's own giving zeros. The bands are
 * parts of the one buffer; nothing is copied. A matrix of int8 or nf4 has its scales behind all its codes and stays
 * whole.
 */
export function inBands(outputs: readonly Tensor[], limit: number): Tensor[] {
  const partsOf = (matrix: Tensor) => {
    const whole = rootOf(matrix);
    const large =
      byteSize(whole) > limit && isFrozen(whole) && (whole.dtype === 'f32' || whole.dtype === 'f16');
    return large ? bandsOf(matrix, whole, limit) : null;
  };
  return rewrite(outputs, (node, [a, b]) => {
    if (isGather(node) && node.attrs.first === 0) {
      const bands = partsOf(a)?.map(({ part }) => part);
      return bands ? [embedding(bands, b)] : null;
    }
    if (!isMatmul(node) || node.attrs.ta || b.shape.length !== 2) return null;
    const parts = partsOf(b);
    if (!parts) return null;
    if (node.attrs.tb)
      return [
        concat(
          parts.map(({ part }) => matmul(a, part, { tb: true })),
          a.shape.length - 1,
        ),
      ];
    const products = parts.map(({ from, part }) => {
      const begin = a.shape.map((_, i) => (i === a.shape.length - 1 ? from : 0));
      return matmul(slice(a, begin, [...a.shape.slice(0, -1), part.shape[0]]), part);
    });
    return [products.reduce(add)];
  });
}

/** Bands of rows of a matrix, each at a place where a binding may begin; null where a single such band is too large. */
function bandsOf(matrix: Tensor, whole: Tensor, limit: number): { from: number; part: Tensor }[] | null {
  const [rows, columns] = matrix.shape;
  const rowBytes = columns * (matrix.dtype === 'f16' ? 2 : 4);
  let unit = 1;
  while ((unit * rowBytes) % ALIGN) unit *= 2;
  const most = Math.floor(limit / rowBytes / unit) * unit;
  if (most < 1) return null;
  const count = Math.ceil(rows / most);
  const height = Math.ceil(rows / count / unit) * unit;
  const parts: { from: number; part: Tensor }[] = [];
  for (let from = 0; from < rows; from += height) {
    const band: Band = { offset: from * rowBytes };
    parts.push({ from, part: bandOf(whole, [Math.min(height, rows - from), columns], band) });
  }
  return parts;
}
