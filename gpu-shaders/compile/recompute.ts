import { flopsOf } from '../graph/cost.ts';
import { byteSize, type Node, nodesOf, type Tensor, trace } from '../graph/tensor.ts';
import { isInline, rootOf } from './fuse.ts';

/** Parts that a forward pass is cut into, about; twice as many where it has the places for it. */
const SEGMENTS = 8;

/** A value of the forward pass: its bytes, and the places in the order of computation of its first and last use there. */
interface Life {
  from: number;
  to: number;
  bytes: number;
}

interface Segment {
  /** Bytes that the backward pass would read, were they kept. */
  saved: number;
  flops: number;
}

/**
 * Forward values dropped and computed again where the backward pass reads them (Chen et al., 2016, arXiv 1604.06174).
 * The forward pass is cut into segments where little is alive (between a transformer's blocks). What crosses a cut is
 * kept; what lies inside a chosen segment is computed again from it, by the same operations, so the values are the same
 * to the last bit.
 */
export class Recomputation {
  /** Of the segments, the cheapest for what they save first. */
  readonly order: readonly number[];
  private readonly forwardNodes: ReadonlySet<Node>;
  private readonly computed: readonly Node[];
  private readonly lives = new Map<Tensor, Life>();
  private readonly segmentOf: readonly number[];

  /** `isHeld` says which values are at hand at any time (weights, constants folded). */
  constructor(
    private readonly forward: readonly Tensor[],
    private readonly backward: readonly Tensor[],
    private readonly isHeld: (root: Tensor) => boolean,
  ) {
    this.forwardNodes = new Set(nodesOf(forward));
    this.computed = [...this.forwardNodes].filter((n) => {
      const { kind } = n.op.lower;
      return kind !== 'leaf' && kind !== 'view' && !n.outputs.every((t) => this.isAtHand(t));
    });
    this.computed.forEach((node, at) => {
      for (const t of node.outputs) this.lives.set(t, { from: at, to: at, bytes: byteSize(t) });
      for (const t of this.readsOf(node)) this.lives.get(t)!.to = at;
    });
    const wanted = new Set(forward.map(rootOf));
    const read = this.readByBackward();
    const saved = [...this.lives].filter(([t]) => read.has(t) && !wanted.has(t));
    this.segmentOf = this.cut(saved.map(([, life]) => life));
    const segments = this.segments(saved);
    const worth = segments.map((s) => s.saved / (s.flops + 1));
    this.order = [...segments.keys()]
      .filter((i) => segments[i].saved > 0)
      .sort((a, b) => worth[b] - worth[a] || a - b);
  }

  /** The backward values, those of the first `count` segments of `order` being computed again for them. */
  apply(count: number): Tensor[] {
    const chosen = new Set(this.order.slice(0, count));
    const made = new Map<Node, readonly Tensor[]>();
    const again = (t: Tensor): Tensor => {
      const root = rootOf(t);
      if (this.isAtHand(root) || !this.isDropped(root, chosen)) return t;
      let copies = made.get(t.node);
      if (!copies) {
        copies = trace(t.node.op, t.node.inputs.map(again), t.node.attrs);
        made.set(t.node, copies);
      }
      return copies[t.output];
    };
    // All of the backward pass is traced anew, so that a value is computed again just before it is first read.
    const now = new Map<Tensor, Tensor>();
    const current = (t: Tensor) => (this.forwardNodes.has(t.node) ? again(t) : (now.get(t) ?? t));
    for (const node of nodesOf(this.backward)) {
      if (this.forwardNodes.has(node) || node.outputs.every((t) => this.isAtHand(rootOf(t)))) continue;
      const copies = trace(node.op, node.inputs.map(current), node.attrs);
      node.outputs.forEach((t, i) => {
        now.set(t, copies[i]);
      });
    }
    return this.backward.map(current);
  }

  private isAtHand(root: Tensor): boolean {
    return root.node.op.lower.kind === 'leaf' || isInline(root) || this.isHeld(root);
  }

  /** Whether a value is neither kept across a cut, nor an output, and its segment is chosen. */
  private isDropped(root: Tensor, chosen: ReadonlySet<number>): boolean {
    const life = this.lives.get(root);
    if (!life || this.forward.some((t) => rootOf(t) === root)) return false;
    const segment = this.segmentOf[life.from];
    return chosen.has(segment) && this.segmentOf[life.to] === segment;
  }

  private readsOf(node: Node): Tensor[] {
    return node.inputs.map(rootOf).filter((t) => this.lives.has(t));
  }

  private readByBackward(): Set<Tensor> {
    const read = new Set<Tensor>();
    for (const node of nodesOf(this.backward))
      if (!this.forwardNodes.has(node)) for (const t of node.inputs) read.add(rootOf(t));
    return read;
  }

  /** The segment of each computed node. */
  private cut(saved: readonly Life[]): number[] {
    const count = this.computed.length;
    const alive = new Float64Array(count + 1);
    for (const { from, to, bytes } of this.lives.values()) for (let i = from; i < to; i++) alive[i] += bytes;
    const savedAt = new Float64Array(count);
    for (const { from, bytes } of saved) savedAt[from] += bytes;
    const share = savedAt.reduce((a, b) => a + b, 0) / SEGMENTS;
    const segmentOf: number[] = [];
    for (let start = 0, segment = 0; start < count; segment++) {
      const end = lowest(start, savedAt, alive, share);
      for (let i = start; i <= end; i++) segmentOf.push(segment);
      start = end + 1;
    }
    return segmentOf;
  }

  private segments(saved: readonly (readonly [Tensor, Life])[]): Segment[] {
    const segments = Array.from({ length: (this.segmentOf.at(-1) ?? -1) + 1 }, () => ({
      saved: 0,
      flops: 0,
    }));
    for (const [, { from, to, bytes }] of saved)
      if (this.segmentOf[from] === this.segmentOf[to]) segments[this.segmentOf[from]].saved += bytes;
    this.computed.forEach((node, at) => {
      segments[this.segmentOf[at]].flops += flopsOf(node);
    });
    return segments;
  }
}

/**
 * Where a segment that begins at `start` ends best: at the first of the places with the fewest bytes alive, once it
 * saves half a share and before it saves two.
 */
function lowest(start: number, savedAt: Float64Array, alive: Float64Array, share: number): number {
  let end: number | null = null;
  let sum = 0;
  for (let i = start; i < savedAt.length && sum <= 2 * share; i++) {
    sum += savedAt[i];
    if (sum >= share / 2 && (end === null || alive[i] < alive[end])) end = i;
  }
  return end ?? savedAt.length - 1;
}
