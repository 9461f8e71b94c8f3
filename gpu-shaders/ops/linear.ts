import type { Tensor } from '../graph/tensor.ts';
import { add } from './elementwise.ts';
import { matmul } from './matmul.ts';

/** x [..., in], w [out, in] (f32 or f16, as checkpoints store it), bias [out]: x wᵀ + bias, [..., out]. */
export function linear(x: Tensor, w: Tensor, bias?: Tensor | null): Tensor {
  const y = matmul(x, w, { tb: true });
  return bias ? add(y, bias) : y;
}
