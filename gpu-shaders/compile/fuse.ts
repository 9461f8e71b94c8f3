import { isParameter } from '../graph/leaves.ts';
import { type Node, sizeOf, type Tensor } from '../graph/tensor.ts';
import { everyOptimisation, type Optimisations } from './options.ts';

/**
 * What one kernel (or one operation's few kernels) computes: an anchor, and the elementwise maps that ride behind
 * it. A group of maps alone has no anchor.
 */
export interface Group {
  anchor: Node | null;
  maps: Node[];
  /** Elements of the value that the maps follow; 0 when nothing may follow. */
  size: number;
  /** Tensors it reads from memory. */
  reads: Set<Tensor>;
  /** Tensors that others read from memory, filled by `storedBy`. */
  stores: Tensor[];
}

/** Bindings a stage may have under WebGPU's default limits. */
const MAX_BINDINGS = 8;

/** The tensor whose memory `t` is: reshapes share it. */
export function rootOf(t: Tensor): Tensor {
  let root = t;
  while (root.node.op.lower.kind === 'view') root = root.node.inputs[0];
  return root;
}

/**
 * True for values that each reader computes afresh rather than reads from memory: constants, random masks, and
 * scalars made of scalars (a knob times a constant).
 */
export function isInline(t: Tensor): boolean {
  const { lower } = t.node.op;
  if (lower.kind !== 'map') return false;
  if (lower.inline) return true;
  const scalar = (x: Tensor) =>
    sizeOf(x.shape) === 1 && (rootOf(x).node.op.lower.kind === 'leaf' || isInline(rootOf(x)));
  return sizeOf(t.shape) === 1 && t.node.inputs.every(scalar);
}

/**
 * Puts nodes, given in topological order, into groups in the order they will run. A map joins the latest group
 * that produces one of its inputs, provided it follows that value element by element; everything else it reads is
 * then older than the group, so the order stays sound.
 */
export function fuse(
  nodes: readonly Node[],
  outputs: readonly Tensor[],
  { fusion, epilogues }: Pick<Optimisations, 'fusion' | 'epilogues'> = everyOptimisation,
): Group[] {
  const groups: Group[] = [];
  const groupOf = new Map<Tensor, number>();
  const wanted = new Set(outputs.map(rootOf));
  const readers = new Readers(nodes, wanted);

  const materialise = (t: Tensor) => {
    // An inline value that a kernel or an output needs in memory gets a group of its own.
    if (isInline(t) && !groupOf.has(t)) addMaps(t.node);
  };
  const addMaps = (node: Node) => {
    groupOf.set(node.outputs[0], groups.length);
    groups.push({
      anchor: null,
      maps: [node],
      size: sizeOf(node.outputs[0].shape),
      reads: readsOf(node, new Set()),
      stores: [],
    });
  };

  for (const node of nodes) {
    const { lower } = node.op;
    if (lower.kind === 'leaf' || lower.kind === 'view') continue;
    if (lower.kind === 'map') {
      if (isInline(node.outputs[0])) {
        if (wanted.has(node.outputs[0])) materialise(node.outputs[0]);
        continue;
      }
      const size = sizeOf(node.outputs[0].shape);
      const reads = readsOf(node, new Set());
      const latest = Math.max(-1, ...[...reads].map((t) => groupOf.get(t) ?? -1));
      const host = groups[latest];
      const follows =
        host &&
        (host.anchor ? epilogues : fusion) &&
        host.size === size &&
        [...reads].some((t) => groupOf.get(t) === latest && follow(host, t, size)) &&
        [...reads].every((t) => groupOf.get(t) !== latest || follow(host, t, size));
      const others = [...reads].filter((t) => groupOf.get(t) !== latest);
      if (follows && fits(host, node, others, readers)) {
        host.maps.push(node);
        for (const t of others) host.reads.add(t);
        groupOf.set(node.outputs[0], latest);
      } else addMaps(node);
      continue;
    }
    for (const t of node.inputs) materialise(rootOf(t));
    const fuses = lower.kind === 'point' || lower.fuses;
    const index = groups.length;
    for (const t of node.outputs) groupOf.set(t, index);
    groups.push({
      anchor: node,
      maps: [],
      size: fuses ? sizeOf(node.outputs[0].shape) : 0,
      reads: new Set(node.inputs.map(rootOf)),
      stores: [],
    });
  }
  storedBy(groups, groupOf, wanted);
  return groups;
}

/** Only the anchor's first output and the maps behind it are at hand, element by element. */
function follow(host: Group, t: Tensor, size: number): boolean {
  return sizeOf(t.shape) === size && (host.anchor === null || t.node !== host.anchor || t.output === 0);
}

/** The roots a map reads from memory, seen through inline values. */
function readsOf(node: Node, into: Set<Tensor>): Set<Tensor> {
  for (const t of node.inputs) {
    const root = rootOf(t);
    if (isInline(root)) readsOf(root.node, into);
    else into.add(root);
  }
  return into;
}

/** Whether the group, with `node` in it, binds no more than a stage may: what it reads and what others read of it. */
function fits(host: Group, node: Node, more: readonly Tensor[], readers: Readers): boolean {
  const inside = new Set([...(host.anchor ? [host.anchor] : []), ...host.maps, node]);
  const stores = [...inside].flatMap((n) => n.outputs).filter((t) => readers.leaves(t, inside));
  return new Set([...host.reads, ...more]).size + stores.length <= MAX_BINDINGS;
}

/** Who reads each value from memory, were nothing fused. */
class Readers {
  private readonly of = new Map<Tensor, Node[]>();

  constructor(
    nodes: readonly Node[],
    private readonly wanted: ReadonlySet<Tensor>,
  ) {
    for (const node of nodes) {
      if (node.op.lower.kind === 'view' || node.op.lower.kind === 'leaf') continue;
      for (const t of readsOf(node, new Set())) {
        const list = this.of.get(t);
        if (list) list.push(node);
        else this.of.set(t, [node]);
      }
    }
  }

  /** Whether anything but `inside` reads `t`. */
  leaves(t: Tensor, inside: ReadonlySet<Node>): boolean {
    return this.wanted.has(t) || (this.of.get(t) ?? []).some((n) => !inside.has(n));
  }
}

function storedBy(groups: Group[], groupOf: Map<Tensor, number>, wanted: ReadonlySet<Tensor>): void {
  const stored = new Set<Tensor>([...wanted].filter((t) => groupOf.has(t)));
  groups.forEach((group, index) => {
    for (const t of group.reads) if (groupOf.get(t) !== undefined && groupOf.get(t) !== index) stored.add(t);
  });
  for (const t of stored) {
    if (isParameter(t)) continue;
    groups[groupOf.get(t)!].stores.push(t);
  }
}
