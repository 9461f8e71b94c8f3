import type { InputAttrs } from './leaves.ts';
import { isInput, isTrainable } from './leaves.ts';
import { byteSize, nodesOf, type Tensor, trace } from './tensor.ts';

/** static: weights and constants only; frozen: also samples; live: also trainable leaves or per-step inputs. */
export type Liveness = 'static' | 'frozen' | 'live';

/** Classifies every value that `outputs` depend on. */
export function livenessOf(outputs: readonly Tensor[]): Map<Tensor, Liveness> {
  const result = new Map<Tensor, Liveness>();
  for (const node of nodesOf(outputs)) {
    for (const t of node.outputs) {
      let kind: Liveness = 'static';
      if (isInput(t)) kind = (node.attrs as InputAttrs).sample ? 'frozen' : 'live';
      else if (isTrainable(t)) kind = 'live';
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

/** Cheap enough to compute again at every step rather than cache beside its own input. */
const CHEAP = new Set(['layerNorm', 'rmsNorm', 'reshape']);

/**
 * The frozen values that live computation reads: what a prefix program computes once per sample. Values that are
 * cheap functions of others (elementwise, norms) are left to the live side when that makes the cut no larger.
 * Empty when the outputs read no samples; the sample input itself may be in it when nothing is frozen above it.
 */
export function frozenCut(outputs: readonly Tensor[]): Tensor[] {
  const liveness = livenessOf(outputs);
  const cut = new Set<Tensor>();
  for (const node of nodesOf(outputs))
    if (node.outputs.some((t) => liveness.get(t) === 'live'))
      for (const x of node.inputs) if (liveness.get(x) === 'frozen') cut.add(x);
  for (const t of outputs) if (liveness.get(t) === 'frozen') cut.add(t);

  const cheap = (t: Tensor) => t.node.op.lower.kind === 'map' || CHEAP.has(t.node.op.name);
  for (const t of [...cut].sort((a, b) => b.node.id - a.node.id)) {
    const sources = t.node.inputs.filter((x) => liveness.get(x) === 'frozen');
    if (!cheap(t) || !sources.length) continue;
    const fresh = sources.filter((x) => !cut.has(x));
    if (fresh.reduce((n, x) => n + byteSize(x), 0) > (fresh.length ? byteSize(t) - 1 : 0)) continue;
    cut.delete(t);
    for (const x of fresh) cut.add(x);
  }
  return [...cut].sort((a, b) => a.node.id - b.node.id || a.output - b.output);
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
