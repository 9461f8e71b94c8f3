import { describe, test } from 'vitest';
import type { Tensor } from '../graph/tensor.ts';
import { checkOp } from '../testing/checkOp.ts';
import { cos, erf, hardSwish, leakyRelu, pow, quickGelu, rsqrt, sin, softplus } from './activations.ts';

/** Series of the error function; converges quickly for the arguments used here. */
function erf64(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const positive = (x: number) => Math.abs(x) + 0.3;
const cases: Record<string, [(x: Tensor) => Tensor, (x: number) => number, ((x: number) => number)?]> = {
  rsqrt: [rsqrt, (x) => 1 / Math.sqrt(x), positive],
  sin: [sin, Math.sin, (x) => 40 * x],
  cos: [cos, Math.cos, (x) => 40 * x],
  erf: [erf, erf64],
  softplus: [softplus, (x) => Math.log1p(Math.exp(x)), (x) => 10 * x],
  hardSwish: [hardSwish, (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6, (x) => 3.1 * x],
  quickGelu: [quickGelu, (x) => x / (1 + Math.exp(-1.702 * x)), (x) => 3 * x],
  leakyRelu: [(x) => leakyRelu(x, 0.2), (x) => (x > 0 ? x : 0.2 * x)],
  square: [(x) => pow(x, 2), (x) => x ** 2],
  'fifth power': [(x) => pow(x, 5), (x) => x ** 5],
  'inverse square': [(x) => pow(x, -2), (x) => x ** -2, positive],
  'power 1.5': [(x) => pow(x, 1.5), (x) => x ** 1.5, positive],
  'power -0.7': [(x) => pow(x, -0.7), (x) => x ** -0.7, positive],
};

describe('activations', () => {
  for (const [name, [build, f, domain]] of Object.entries(cases))
    test(name, () => checkOp({ shapes: [[3, 5]], build, reference: (x) => x.map(f), domain }));
});
