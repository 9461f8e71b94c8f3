import type { Tensor } from '../graph/tensor.ts';
import type { Gradient } from './map.ts';
import { reduceSumTo } from './reduce.ts';

// Apart from `map.ts`: sums are themselves made with elementwise operations, which need `map.ts` to be there first.

/** Gradient rule of a binary map, summed back over broadcast axes; nothing is traced for unwanted sides. */
export function binary(
  fa: (a: Tensor, b: Tensor, dy: Tensor, y: Tensor) => Tensor,
  fb: (a: Tensor, b: Tensor, dy: Tensor, y: Tensor) => Tensor,
): Gradient {
  return ({ inputs: [a, b], outputs: [y], dys: [dy], wants }) => [
    wants[0] ? reduceSumTo(fa(a, b, dy!, y), a.shape) : null,
    wants[1] ? reduceSumTo(fb(a, b, dy!, y), b.shape) : null,
  ];
}
