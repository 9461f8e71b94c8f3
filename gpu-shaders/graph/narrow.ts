import { isSlice, slice } from '../ops/layout.ts';
import type { Box, Narrowed } from './op.ts';
import { type Node, nodesOf, type Shape, sameShape, type Tensor, trace } from './tensor.ts';

/** What readers want of a value: a part of it, or all. */
type Want = Box | 'whole';

/**
 * The same outputs without the rows that nobody reads: a slice moves up through operations that compute their rows
 * apart from each other, as long as no other reader wants the whole. A head on the class token then costs the last
 * block its queries, its output projection and its MLP for one row instead of all. Values do not change.
 */
export function narrowRows(outputs: readonly Tensor[]): Tensor[] {
  const nodes = nodesOf(outputs);
  const wants = new Map<Tensor, Want>();
  const plans = new Map<Node, Narrowed>();
  const want = (t: Tensor, box: Box | null) => {
    const before = wants.get(t);
    const now: Want = box && !coversAll(box, t.shape) ? box : 'whole';
    wants.set(t, before === undefined || sameWant(before, now) ? now : 'whole');
  };
  for (const t of outputs) want(t, null);
  for (const node of [...nodes].reverse()) {
    const plan = planOf(node, wants);
    if (plan) plans.set(node, plan);
    else for (const t of node.outputs) if (wants.has(t)) wants.set(t, 'whole');
    node.inputs.forEach((t, i) => {
      want(t, plan?.inputs[i] ?? null);
    });
  }
  return plans.size ? rebuild(outputs, nodes, wants, plans) : [...outputs];
}

/** How to compute only what is wanted of a node; null where all of it is wanted or it cannot be narrowed. */
function planOf(node: Node, wants: ReadonlyMap<Tensor, Want>): Narrowed | null {
  const [first, ...others] = node.outputs;
  const wanted = wants.get(first);
  if (others.some((t) => wants.has(t)) || wanted === undefined) return null;
  if (wanted === 'whole') return isSlice(node) ? narrowing(node, wholeOf(first.shape)) : null;
  return narrowing(node, wanted);
}

function narrowing(node: Node, box: Box): Narrowed | null {
  const { op, inputs, attrs } = node;
  if (op.narrow) return op.narrow(node, box);
  if (op.lower.kind !== 'map') return null;
  const boxes = inputs.map((t) => throughBroadcast(node.outputs[0].shape, t.shape, box));
  // An operation that takes its shape from its attributes, as random masks do, has no part of its own.
  const types = inputs.map((t, i) => ({ shape: boxes[i].shape, dtype: t.dtype }));
  return sameShape(op.infer(types, attrs)[0].shape, box.shape) ? { inputs: boxes, attrs } : null;
}

function rebuild(
  outputs: readonly Tensor[],
  nodes: readonly Node[],
  wants: ReadonlyMap<Tensor, Want>,
  plans: ReadonlyMap<Node, Narrowed>,
): Tensor[] {
  const now = new Map<Tensor, Tensor>();
  const parts = new Map<string, Tensor>();
  const partOf = (t: Tensor, box: Box | null): Tensor => {
    const value = now.get(t)!;
    if (!box || wants.get(t) !== 'whole' || coversAll(box, t.shape)) return value;
    const key = `${value.node.id}.${value.output}[${box.begin}][${box.shape}]`;
    let part = parts.get(key);
    if (!part) {
      part = slice(value, box.begin, box.shape);
      parts.set(key, part);
    }
    return part;
  };
  for (const node of nodes) {
    const plan = plans.get(node);
    const inputs = node.inputs.map((t, i) => partOf(t, plan?.inputs[i] ?? null));
    let made: readonly Tensor[];
    if (isSlice(node) && plan) made = inputs;
    else if (!plan && inputs.every((t, i) => t === node.inputs[i])) made = node.outputs;
    else made = trace(node.op, inputs, plan ? plan.attrs : node.attrs);
    node.outputs.forEach((t, i) => {
      now.set(t, made[i]);
    });
  }
  return outputs.map((t) => now.get(t)!);
}

const wholeOf = (shape: Shape): Box => ({ begin: shape.map(() => 0), shape });
const coversAll = (box: Box, shape: Shape) => sameShape(box.shape, shape);
const sameWant = (a: Want, b: Want) =>
  a === b || (a !== 'whole' && b !== 'whole' && sameShape(a.shape, b.shape) && sameShape(a.begin, b.begin));

/** The part of a value of shape `from`, broadcast to `to`, that a part of the result reads. */
function throughBroadcast(to: Shape, from: Shape, box: Box): Box {
  const lead = to.length - from.length;
  const spread = (i: number) => from[i] === 1 && to[i + lead] !== 1;
  return {
    begin: from.map((_, i) => (spread(i) ? 0 : box.begin[i + lead])),
    shape: from.map((_, i) => (spread(i) ? 1 : box.shape[i + lead])),
  };
}
