/** Capacity that no minimum cut crosses. Far below 2^53, so that sums of whole numbers stay exact. */
export const UNCUTTABLE = 2 ** 50;

interface Edge {
  to: number;
  /** What may still flow; whole numbers. */
  residual: number;
  back: Edge;
}

/** A directed graph with capacities, for the minimum cut between two vertices (Dinic, 1970). */
export class FlowGraph {
  private readonly edges: Edge[][] = [];

  vertex(): number {
    return this.edges.push([]) - 1;
  }

  edge(from: number, to: number, capacity: number): void {
    const forth = { to, residual: capacity } as Edge;
    const back: Edge = { to: from, residual: 0, back: forth };
    forth.back = back;
    this.edges[from].push(forth);
    this.edges[to].push(back);
  }

  /** For each vertex, whether it lies on the sink's side of the minimum cut; of several, the cut nearest the sink. */
  sinkSide(source: number, sink: number): boolean[] {
    for (;;) {
      const level = this.levels(source);
      if (level[sink] < 0) break;
      const next = this.edges.map(() => 0);
      while (this.push(source, sink, UNCUTTABLE, level, next) > 0);
    }
    const side = this.edges.map(() => false);
    side[sink] = true;
    const stack = [sink];
    while (stack.length)
      for (const e of this.edges[stack.pop()!])
        if (!side[e.to] && e.back.residual > 0) {
          side[e.to] = true;
          stack.push(e.to);
        }
    return side;
  }

  private levels(source: number): number[] {
    const level = this.edges.map(() => -1);
    level[source] = 0;
    const queue = [source];
    for (const v of queue)
      for (const e of this.edges[v])
        if (e.residual > 0 && level[e.to] < 0) {
          level[e.to] = level[v] + 1;
          queue.push(e.to);
        }
    return level;
  }

  private push(v: number, sink: number, limit: number, level: readonly number[], next: number[]): number {
    if (v === sink) return limit;
    for (; next[v] < this.edges[v].length; next[v]++) {
      const e = this.edges[v][next[v]];
      if (e.residual <= 0 || level[e.to] !== level[v] + 1) continue;
      const pushed = this.push(e.to, sink, Math.min(limit, e.residual), level, next);
      if (pushed > 0) {
        e.residual -= pushed;
        e.back.residual += pushed;
        return pushed;
      }
    }
    return 0;
  }
}
