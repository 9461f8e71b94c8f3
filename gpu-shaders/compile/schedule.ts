import {
  type ConstantAttrs,
  type InputAttrs,
  isConstant,
  isInput,
  isParameter,
  type ParameterAttrs,
} from '../graph/leaves.ts';
import { livenessOf } from '../graph/split.ts';
import { byteSize, isQuantised, nodesOf, packedLayout, type Tensor } from '../graph/tensor.ts';
import { inBands } from './bands.ts';
import { emitGroup } from './emit.ts';
import { fuse, isInline, rootOf } from './fuse.ts';
import { everyOptimisation, type Optimisations } from './options.ts';
import { packWeights } from './pack.ts';
import { BindingError, type Lifetime, MemoryLimitError, type MemoryPlan, planMemory } from './plan.ts';
import { Recomputation } from './recompute.ts';
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
  /** What is computed again to stay within the memory limit; null where nothing is. */
  recomputed: Recomputed | null;
}

/** How much of a forward pass is computed again in the backward pass. */
export interface Recomputed {
  segments: number;
  /** Segments that the forward pass has. */
  of: number;
  /** Arithmetic operations that this adds to a run. */
  flops: number;
}

export interface ScheduleRequest {
  /** Values to keep after a run, by name. */
  outputs: Readonly<Record<string, Tensor>>;
  /** Values that must land in places of the caller's (gradients in their flat buffer), by place key. */
  placed?: ReadonlyMap<Tensor, string>;
  /** Largest arena or binding, in bytes. */
  limit: number;
  /** Bytes that all intermediate values together may take; as many as they need where absent. */
  memory?: number;
  /** The device's kernel variants. */
  target: Target;
  /** All of them where absent. */
  optimise?: Optimisations;
}

/**
 * Turns outputs into dispatches. Under a memory limit that they would exceed, values of `outputs` are dropped and
 * computed again for `placed` ones, as few as it takes. Throws `MemoryLimitError` where all is not enough.
 */
export function schedule(request: ScheduleRequest): Schedule {
  const { memory, optimise = everyOptimisation } = request;
  const banded = rewritten(request, (outputs) => inBands(outputs, request.limit));
  const traced =
    optimise.fold && optimise.pack && request.target.packed ? rewritten(banded, packWeights) : banded;
  const whole = lowered(traced);
  if (memory === undefined || arenaBytes(whole) <= memory) return whole;
  if (!optimise.recompute) throw new MemoryLimitError(memory, arenaBytes(whole));
  return within(memory, traced, whole);
}

const arenaBytes = ({ plan }: Schedule) => plan.arenas.reduce((a, b) => a + b, 0);
const flopsIn = ({ calls }: Schedule) => calls.reduce((n, c) => n + c.flops, 0);

/** The request with all its values as `change` makes them. */
function rewritten(
  request: ScheduleRequest,
  change: (values: readonly Tensor[]) => Tensor[],
): ScheduleRequest {
  const names = Object.keys(request.outputs);
  const placed = [...(request.placed ?? [])];
  const now = change([...Object.values(request.outputs), ...placed.map(([t]) => t)]);
  return {
    ...request,
    outputs: Object.fromEntries(names.map((name, i) => [name, now[i]])),
    placed: new Map(placed.map(([, key], i) => [now[names.length + i], key])),
  };
}

/** The schedule that computes the fewest segments again of those that fit. */
function within(memory: number, request: ScheduleRequest, whole: Schedule): Schedule {
  const placed = [...(request.placed ?? [])];
  const folded = new Set(whole.folded);
  const plan = new Recomputation(
    Object.values(request.outputs),
    placed.map(([t]) => t),
    (root) => folded.has(root),
  );
  let least = arenaBytes(whole);
  const attempt = (segments: number): Schedule | null => {
    const again = plan.apply(segments);
    const made = lowered({ ...request, placed: new Map(placed.map(([, key], i) => [again[i], key])) });
    least = Math.min(least, arenaBytes(made));
    if (arenaBytes(made) > memory) return null;
    return {
      ...made,
      recomputed: { segments, of: plan.order.length, flops: flopsIn(made) - flopsIn(whole) },
    };
  };
  let low = 0;
  let high = plan.order.length;
  let best = attempt(high);
  // More computed again takes less memory, but for the last few segments, whose values hardly wait.
  for (; !best && high > 1; high--) best = attempt(high - 1);
  if (!best) throw new MemoryLimitError(memory, least);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const found = attempt(middle);
    if (found) [best, high] = [found, middle];
    else low = middle;
  }
  return best;
}

/** The dispatches of one graph as it is. */
function lowered({
  outputs,
  placed = new Map(),
  limit,
  target,
  optimise = everyOptimisation,
}: ScheduleRequest): Schedule {
  const roots = [...Object.values(outputs), ...placed.keys()];
  const folded = optimise.fold ? foldable(roots) : [];
  const isFolded = new Set(folded);
  const nodes = nodesOf(roots, (t) => isFolded.has(rootOf(t)));
  const groups = fuse(nodes, roots, optimise);

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
      if (isParameter(root) && byteSize(root) > limit)
        throw new BindingError(
          `The weight '${(root.node.attrs as ParameterAttrs).name}'`,
          byteSize(root),
          limit,
        );
    }
    const place = { key, dtype: root.dtype, bytes: byteSize(root) };
    return isQuantised(root.dtype) ? { ...place, packed: packedLayout(root) } : place;
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
  return {
    calls,
    plan: planMemory([...lives.values()], limit, optimise.reuse),
    leaves,
    outputs: named,
    folded,
    recomputed: null,
  };
}

function leafKey(t: Tensor): string {
  if (isParameter(t)) {
    const { name, band } = t.node.attrs as ParameterAttrs;
    return band ? `p:param:${name}@${band.offset}` : `p:param:${name}`;
  }
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
