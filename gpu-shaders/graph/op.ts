import type { KernelWriter, PointWriter } from '../compile/writer.ts';
import type { Shape, Tensor, TensorType } from './tensor.ts';

/** What a gradient rule gets: the node's values, the gradients of its outputs, and which inputs need one. */
export interface GradientContext<A> {
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  /** Null where no gradient reaches that output. */
  dys: readonly (Tensor | null)[];
  attrs: A;
  /** `wants[i]` is false for frozen inputs: nothing may be computed for them. */
  wants: readonly boolean[];
}

/**
 * How an operation runs.
 * - `leaf`: a value that comes from outside (parameter, input, constant).
 * - `view`: the same bytes under another shape.
 * - `map`: an expression of equally placed elements, with broadcasting; fuses anywhere. `inline` marks maps so
 *   cheap, and without large inputs, that every reader computes them afresh instead of reading them from memory.
 * - `point`: each output element computed from arbitrary reads; a chain of maps fuses behind it.
 * - `kernels`: its own dispatches; a chain of maps fuses behind the first output where it stores through `finish`.
 */
export type Lowering<A> =
  | { kind: 'leaf' }
  | { kind: 'view' }
  | {
      kind: 'map';
      inline?: boolean;
      expr(args: string[], attrs: A, index: string): string;
      helpers?: string[];
    }
  | { kind: 'point'; body(w: PointWriter, attrs: A): string; flops?(node: NodeTypes<A>): number }
  | {
      kind: 'kernels';
      fuses: boolean;
      emit(w: KernelWriter, attrs: A): void;
      flops?(node: NodeTypes<A>): number;
    };

export interface NodeTypes<A> {
  inputs: readonly TensorType[];
  outputs: readonly TensorType[];
  attrs: A;
}

/** A part of a tensor: `shape` elements from `begin` on, along each axis. */
export interface Box {
  begin: readonly number[];
  shape: Shape;
}

/** What a part of a result is computed from: a part of each input, null for all of it, and attributes of its own. */
export interface Narrowed<A = unknown> {
  inputs: (Box | null)[];
  attrs: A;
}

/** One operation, whole: shape rule, gradient rule, lowering. A file under `ops/` is its only place. */
export interface Op<A = void> {
  name: string;
  infer(inputs: readonly TensorType[], attrs: A): TensorType[];
  /** Absent where no gradient exists (integers, masks). Returns one gradient or null for each input. */
  gradient?(ctx: GradientContext<A>): (Tensor | null)[];
  /**
   * How to compute only `box` of the first output; null where that part takes as much as the whole. Absent for maps,
   * which always can, and for operations whose rows depend on each other.
   */
  narrow?(node: NodeTypes<A>, box: Box): Narrowed<A> | null;
  lower: Lowering<A>;
}
