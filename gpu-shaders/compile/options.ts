/**
 * What the compiler may do to a computation, one switch each. None of them changes a result by more than rounding:
 * they are here to be measured and tested apart. `prepare` and `frozenCut`'s callers act on those of a trace (`share`,
 * `attention`, `narrow`, `prefix`), `compile` on the others.
 */
export interface Optimisations {
  /** Elementwise maps run together in one kernel. */
  readonly fusion: boolean;
  /** Elementwise maps run behind the product, convolution or reduction whose result they follow. */
  readonly epilogues: boolean;
  /** Attention streams over the keys; without it, scores and weights go through memory. */
  readonly attention: boolean;
  /** Rows that nobody reads are not computed. */
  readonly narrow: boolean;
  /** Equal computations are made one. */
  readonly share: boolean;
  /** What depends on weights and constants alone is computed when a program is made, not in its runs. */
  readonly fold: boolean;
  /** What depends on the sample alone is computed once a sample, by a prefix program. */
  readonly prefix: boolean;
  /** Frozen matrices are brought into the order that the chosen kernel reads, when a program is made. */
  readonly pack: boolean;
  /** Values that do not live at the same time share memory. */
  readonly reuse: boolean;
  /** Under a memory limit, forward values are dropped and computed again in the backward pass. */
  readonly recompute: boolean;
  /** Kernels are the ones measured to be fastest on this device, not the plain ones. */
  readonly tune: boolean;
}

export const everyOptimisation: Optimisations = {
  fusion: true,
  epilogues: true,
  attention: true,
  narrow: true,
  share: true,
  fold: true,
  prefix: true,
  pack: true,
  reuse: true,
  recompute: true,
  tune: true,
};
