import { type Node, nodesOf, type Tensor, trace } from './tensor.ts';

/**
 * The same outputs with some nodes replaced: `change` gets a node and its inputs as they are now, and returns what
 * stands for its outputs, or null to keep the operation. What depends on nothing changed is shared with the original.
 */
export function rewrite(
  outputs: readonly Tensor[],
  change: (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | null,
): Tensor[] {
  const now = new Map<Tensor, Tensor>();
  for (const node of nodesOf(outputs)) {
    const inputs = node.inputs.map((t) => now.get(t)!);
    const same = inputs.every((t, i) => t === node.inputs[i]);
    const made = change(node, inputs) ?? (same ? node.outputs : trace(node.op, inputs, node.attrs));
    node.outputs.forEach((t, i) => {
      if (made[i]) now.set(t, made[i]);
    });
  }
  return outputs.map((t) => now.get(t)!);
}
