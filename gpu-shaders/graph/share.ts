import { isConstant } from './leaves.ts';
import type { Op } from './op.ts';
import { type Node, nodesOf, type Tensor, trace } from './tensor.ts';

/**
 * The same outputs with equal computations made one: nodes of the same operation, attributes and inputs. Two traces of
 * one backbone then share what they have in common. Leaves of the same name are the same leaf.
 */
export function shareCommon(outputs: readonly Tensor[]): Tensor[] {
  // biome-ignore lint/suspicious/noExplicitAny: operations are as various as their attributes
  const numbers = new Map<Op<any>, number>();
  const known = new Map<string, readonly Tensor[]>();
  const now = new Map<Tensor, Tensor>();
  const keyOf = (node: Node, inputs: readonly Tensor[]): string => {
    if (!numbers.has(node.op)) numbers.set(node.op, numbers.size);
    // Data of constants is not compared, only recognised.
    const attrs = isConstant(node.outputs[0]) ? `#${node.id}` : JSON.stringify(node.attrs ?? null);
    return `${numbers.get(node.op)}(${inputs.map((t) => `${t.node.id}.${t.output}`)})${attrs}`;
  };
  for (const node of nodesOf(outputs)) {
    const inputs = node.inputs.map((t) => now.get(t)!);
    const key = keyOf(node, inputs);
    let made = known.get(key);
    if (!made) {
      const same = inputs.every((t, i) => t === node.inputs[i]);
      made = same ? node.outputs : trace(node.op, inputs, node.attrs);
      known.set(key, made);
    }
    node.outputs.forEach((t, i) => {
      now.set(t, made[i]);
    });
  }
  return outputs.map((t) => now.get(t)!);
}
