import type { AttentionCard, BranchCard, ModuleCard } from './describe.ts';
import type { Observer } from './scope.ts';

/** Places of a network where methods may attach. */
export interface Places {
  readonly modules: ModuleCard[];
  readonly branches: BranchCard[];
  readonly attentions: AttentionCard[];
  readonly norms: { path: string; block: number }[];
}

/** Notes every place that a trace passes in `places`; `blockOf` gives the block of a module's path. */
export function noting(places: Places, blockOf: (path: string) => number): Observer {
  return {
    layer(path, kind, weight, { groups = 1 }) {
      // A module that several places read is one module.
      if (places.modules.some((m) => m.path === path)) return;
      const shape = [...weight.shape];
      places.modules.push({ path, kind, shape, grouped: groups > 1, block: blockOf(path) });
    },
    branch(path, kind, x) {
      places.branches.push({ path, kind, width: x.shape.at(-1)!, block: blockOf(path) });
    },
    attention(path, q, k, { heads }) {
      const [width, keyWidth] = [q, k].map((t) => t.shape.at(-1)!);
      places.attentions.push({ path, heads, width, keyWidth, block: blockOf(path) });
    },
    layerNorm(path) {
      places.norms.push({ path, block: blockOf(path) });
    },
  };
}
