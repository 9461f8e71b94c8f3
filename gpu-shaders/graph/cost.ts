import { type Node, nodesOf, sizeOf, type Tensor } from './tensor.ts';

/** Arithmetic operations of a node: what it counts itself, else one for each element it makes. */
export function flopsOf({ op, inputs, outputs, attrs }: Node): number {
  const { lower } = op;
  if (lower.kind === 'view' || lower.kind === 'leaf') return 0;
  const counted = lower.kind === 'map' ? undefined : lower.flops?.({ inputs, outputs, attrs });
  return counted ?? outputs.reduce((n, t) => n + sizeOf(t.shape), 0);
}

/** Arithmetic operations of all that `outputs` depend on. */
export function workOf(outputs: readonly Tensor[]): number {
  return nodesOf(outputs).reduce((sum, node) => sum + flopsOf(node), 0);
}
