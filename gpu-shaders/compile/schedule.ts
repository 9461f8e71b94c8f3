import {
  type ConstantAttrs,
  type InputAttrs,
  isConstant,
  isInput,
  isParameter,
  type ParameterAttrs,
} from '../graph/leaves.ts';
import { livenessOf } from '../graph/split.ts';
import { byteSize, nodesOf, type Tensor } from '../graph/tensor.ts';
import { emitGroup } from './emit.ts';
import { fuse, isInline, rootOf } from './fuse.ts';
import { type Lifetime, type MemoryPlan, planMemory } from './plan.ts';
import type { Target } from './target.ts';
import type { KernelCall, Place } from './writer.ts';

/** A traced computation as a fixed list of dispatches with planned memory; no GPU object in it yet. */
export interface Schedule {
  calls: KernelCall[];
  plan: MemoryPlan;
  /** What fills each place outside the arenas, by place key. */
  leaves: Map<string, Tensor>;
  outputs: Map<string, Place>;
  /** Values of weights and constants alone: computed once, when the program is made. */
  folded: Tensor[];
}

export interface ScheduleRequest {
  /** Values to keep after a run, by name. */
  outputs: Readonly<Record<string, Tensor>>;
  /** Values that must land in places of the caller's (gradients in their flat buffer), by place key. */
  placed?: ReadonlyMap<Tensor, string>;
  /** Largest arena or binding, in bytes. */
  limit: number;
  /** The device's kernel variants. */
  target: Target;
  /** Leaves constants unfolded: used for the folding program itself. */
  fold?: boolean;
}

/** Turns outputs into dispatches. */
export function schedule({
  outputs,
  placed = new Map(),
  limit,
  target,
  fold = true,
}: ScheduleRequest): Schedule {
  const roots = [...Object.values(outputs), ...placed.keys()];
  const folded = fold ? foldable(roots) : [];
  const isFolded = new Set(folded);
  const nodes = nodesOf(roots, (t) => isFolded.has(rootOf(t)));
  const groups = fuse(nodes, roots);

  const leaves = new Map<string, Tensor>();
  const keys = new Map<Tensor, string>();
  for (const [t, key] of placed) keys.set(rootOf(t), key);
  const named = new Map<string, Place>();
  for (const [name, t] of Object.entries(outputs)) {
    const root = rootOf(t);
    if (!keys.has(root)) keys.set(root, `o:${name}`);
    named.set(name, { key: keys.get(root)!, dtype: root.dtype, bytes: byteSize(root) });
  }
  const placeOf = (t: Tensor): Place => {
    const root = rootOf(t);
    let key = keys.get(root);
    if (!key) {
      const external = isFolded.has(root) || root.node.op.lower.kind === 'leaf';
      key = external ? leafKey(root) : `t:${root.node.id}.${root.output}`;
      keys.set(root, key);
      if (external) leaves.set(key, root);
    }
    return { key, dtype: root.dtype, bytes: byteSize(root) };
  };

  const calls: KernelCall[] = [];
  const lives = new Map<string, Lifetime>();
  groups.forEach((group, at) => {
    const emitted = emitGroup(group, placeOf, target);
    calls.push(...emitted);
    for (const place of emitted.flatMap((c) => c.bindings.map((b) => b.place))) {
      if (!place.key.startsWith('t:')) continue;
      const life = lives.get(place.key);
      if (life) life.to = at;
      else lives.set(place.key, { place, from: at, to: at });
    }
  });
  return { calls, plan: planMemory([...lives.values()], limit), leaves, outputs: named, folded };
}

function leafKey(t: Tensor): string {
  if (isParameter(t)) return `p:param:${(t.node.attrs as ParameterAttrs).name}`;
  if (isInput(t)) return `p:input:${(t.node.attrs as InputAttrs).name}`;
  if (isConstant(t)) return `p:const:${t.node.id}:${(t.node.attrs as ConstantAttrs).shape.join('x')}`;
  return `p:folded:${t.node.id}.${t.output}`;
}

/** Computed values that depend on weights and constants only and are read by something that does not. */
function foldable(outputs: readonly Tensor[]): Tensor[] {
  const liveness = livenessOf(outputs);
  const result = new Set<Tensor>();
  const candidate = (t: Tensor) => {
    const root = rootOf(t);
    if (liveness.get(root) === 'static' && root.node.op.lower.kind !== 'leaf' && !isInline(root))
      result.add(root);
  };
  for (const node of nodesOf(outputs))
    if (node.outputs.some((t) => liveness.get(t) !== 'static')) for (const t of node.inputs) candidate(t);
  return [...result];
}
