import { add, div, mul, sqrt, sub, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';

/**
 * Batch normalisation of NHWC activations with the stored statistics of module `scope`: a scale and a shift a channel,
 * computed once for a program.
 */
export function batchNorm(scope: Scope, x: Tensor, eps: number): Tensor {
  const scale = div(scope.weight('weight'), sqrt(add(scope.weight('running_var'), eps)));
  return add(mul(x, scale), sub(scope.weight('bias'), mul(scope.weight('running_mean'), scale)));
}
