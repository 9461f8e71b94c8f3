import { add, fill } from '../ops/elementwise.ts';
import { nodesOf, sameShape, type Tensor } from './tensor.ts';

/** An operation without a gradient rule lies between the loss and a trainable leaf. */
export class GradientError extends Error {
  override name = 'GradientError';
}

/**
 * Reverse-mode derivatives of a scalar `loss` with respect to `leaves`. Only values that a leaf reaches get a
 * gradient, so frozen weights and everything below the lowest leaf cost nothing. `seed` is d(objective)/d(loss),
 * one by default (a loss scale otherwise). A leaf that the loss does not read gets zeros.
 */
export function gradients(loss: Tensor, leaves: readonly Tensor[], seed?: Tensor): Tensor[] {
  const nodes = nodesOf([loss]);
  const live = new Set<Tensor>(leaves);
  for (const node of nodes)
    if (node.inputs.some((t) => live.has(t)))
      for (const t of node.outputs) if (t.dtype === 'f32') live.add(t);

  const sums = new Map<Tensor, Tensor>();
  if (live.has(loss)) sums.set(loss, seed ?? fill(loss.shape, 1));
  for (const node of nodes.reverse()) {
    const dys = node.outputs.map((t) => sums.get(t) ?? null);
    const wants = node.inputs.map((t) => live.has(t));
    if (dys.every((d) => d === null) || !wants.includes(true)) continue;
    if (!node.op.gradient)
      throw new GradientError(`'${node.op.name}' has no gradient, but a trainable leaf lies behind it.`);
    const dxs = node.op.gradient({
      inputs: node.inputs,
      outputs: node.outputs,
      dys,
      attrs: node.attrs,
      wants,
    });
    node.inputs.forEach((x, i) => {
      const dx = dxs[i];
      if (!wants[i] || !dx) return;
      if (!sameShape(dx.shape, x.shape))
        throw new GradientError(`'${node.op.name}' gave a gradient [${dx.shape}] for an input [${x.shape}].`);
      const sum = sums.get(x);
      sums.set(x, sum ? add(sum, dx) : dx);
    });
  }
  return leaves.map((leaf) => sums.get(leaf) ?? fill(leaf.shape, 0));
}
