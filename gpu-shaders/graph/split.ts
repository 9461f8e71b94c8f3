import type { InputAttrs } from './leaves.ts';
import { isFrozen, isInput, isParameter } from './leaves.ts';
import { FlowGraph, UNCUTTABLE } from './minCut.ts';
import { byteSize, type Node, nodesOf, sizeOf, type Tensor, trace } from './tensor.ts';

/** static: weights and constants only; frozen: also samples; live: also what changes from step to step. */
export type Liveness = 'static' | 'frozen' | 'live';

/** Classifies every value that `outputs` depend on. */
export function livenessOf(outputs: readonly Tensor[]): Map<Tensor, Liveness> {
  const result = new Map<Tensor, Liveness>();
  for (const node of nodesOf(outputs)) {
    for (const t of node.outputs) {
      let kind: Liveness = 'static';
      if (isInput(t)) kind = (node.attrs as InputAttrs).sample ? 'frozen' : 'live';
      else if (isParameter(t) && !isFrozen(t)) kind = 'live';
      for (const x of node.inputs) {
        const k = result.get(x)!;
        if (k === 'live' || kind === 'live') kind = 'live';
        else if (k === 'frozen') kind = 'frozen';
      }
      result.set(t, kind);
    }
  }
  return result;
}

/**
 * Operations of recomputation at each step that caching a byte of every sample is worth. High enough that projections
 * beside a small hidden state are computed again, low enough that no block of a network is.
 */
const FLOPS_PER_BYTE = 2000;

/**
 * The frozen values that a prefix program computes once per sample, for live computation to start from: the cut of
 * least cost through the frozen part, where a value kept costs its bytes and one left to the live side its
 * operations (`FLOPS_PER_BYTE`). Every value has the samples on its first axis. Empty when the outputs read no
 * samples; the sample input itself is in it where nothing worth keeping is frozen above it.
 */
export function frozenCut(outputs: readonly Tensor[]): Tensor[] {
  const liveness = livenessOf(outputs);
  const frozen = (t: Tensor) => liveness.get(t) === 'frozen';
  const nodes = nodesOf(outputs);
  const batch = nodes.find((n) => isInput(n.outputs[0]) && frozen(n.outputs[0]))?.outputs[0].shape[0];

  // The source's side is the prefix, the sink's the live program.
  const graph = new FlowGraph();
  const [prefix, live] = [graph.vertex(), graph.vertex()];
  const values = new Map<Tensor, number>();
  const vertices = new Map<Node, number>();
  for (const node of nodes) {
    const sources = new Set(node.inputs.filter(frozen));
    if (!node.outputs.some(frozen)) {
      for (const x of sources) graph.edge(values.get(x)!, live, UNCUTTABLE);
      continue;
    }
    const vertex = graph.vertex();
    vertices.set(node, vertex);
    graph.edge(prefix, vertex, sources.size ? Math.ceil(flopsOf(node) / FLOPS_PER_BYTE) : UNCUTTABLE);
    for (const x of sources) {
      graph.edge(values.get(x)!, vertex, UNCUTTABLE);
      // What the prefix computes, it computes from what it computes.
      graph.edge(vertex, vertices.get(x.node)!, UNCUTTABLE);
    }
    for (const t of node.outputs) {
      const value = graph.vertex();
      values.set(t, value);
      graph.edge(vertex, value, t.shape[0] === batch ? byteSize(t) : UNCUTTABLE);
    }
  }
  for (const t of new Set(outputs.filter(frozen))) graph.edge(values.get(t)!, live, UNCUTTABLE);

  const isLive = graph.sinkSide(prefix, live);
  return [...values].flatMap(([t, value]) => (isLive[value] && !isLive[vertices.get(t.node)!] ? [t] : []));
}

function flopsOf({ op, inputs, outputs, attrs }: Node): number {
  const { lower } = op;
  if (lower.kind === 'view' || lower.kind === 'leaf') return 0;
  const counted = lower.kind === 'map' ? undefined : lower.flops?.({ inputs, outputs, attrs });
  return counted ?? outputs.reduce((n, t) => n + sizeOf(t.shape), 0);
}

/** The same computation with some values replaced: nodes that depend on none of them are shared. */
export function substitute(outputs: readonly Tensor[], replaced: ReadonlyMap<Tensor, Tensor>): Tensor[] {
  const now = new Map<Tensor, Tensor>(replaced);
  for (const node of nodesOf(outputs, (t) => replaced.has(t))) {
    const inputs = node.inputs.map((t) => now.get(t) ?? t);
    if (inputs.every((t, i) => t === node.inputs[i])) continue;
    const copies = trace(node.op, inputs, node.attrs);
    node.outputs.forEach((t, i) => {
      if (!replaced.has(t)) now.set(t, copies[i]);
    });
  }
  return outputs.map((t) => now.get(t) ?? t);
}
