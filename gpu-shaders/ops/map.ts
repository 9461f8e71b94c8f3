import type { GradientContext, Op } from '../graph/op.ts';
import { broadcastShapes, type Tensor } from '../graph/tensor.ts';

export type Gradient = (c: GradientContext<void>) => (Tensor | null)[];

/** An elementwise operation of f32 inputs with broadcasting. */
export function map(
  name: string,
  expr: (...args: string[]) => string,
  gradient: Gradient,
  helpers?: string[],
): Op {
  return {
    name,
    infer: (xs) => [{ shape: broadcastShapes(...xs.map((x) => x.shape)), dtype: 'f32' }],
    gradient,
    lower: { kind: 'map', expr: (args) => expr(...args), helpers },
  };
}

/** Gradient rule of a unary map: `f` gives dx from (x, y, dy). */
export function unary(f: (x: Tensor, y: Tensor, dy: Tensor) => Tensor): Gradient {
  return ({ inputs, outputs, dys }) => [f(inputs[0], outputs[0], dys[0]!)];
}

/** A map (x, dy) that is itself some map's derivative; it has no second derivative. */
export function derivative(name: string, expr: (x: string, d: string) => string, helpers?: string[]): Op {
  const { gradient: _, ...op } = map(name, expr, () => [], helpers);
  return op;
}

/** A WGSL f32 literal. */
export function literal(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`${value} cannot be a constant of a kernel.`);
  const text = Math.fround(value).toString();
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
