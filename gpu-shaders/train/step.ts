import { compile } from '../compile/build.ts';
import type { Optimisations } from '../compile/options.ts';
import { gradients } from '../graph/gradient.ts';
import { isTrainable, type ParameterAttrs } from '../graph/leaves.ts';
import { nodesOf, sizeOf, type Tensor } from '../graph/tensor.ts';
import { copy } from '../ops/elementwise.ts';
import type { Program } from '../program.ts';
import type { State } from '../state.ts';
import { hyperInput, type Optimiser, optimiserTail } from './optimiser.ts';

export interface TrainSpec {
  label: string;
  /** Scalar to minimise. */
  loss: Tensor;
  /** Values to read back beside the loss. */
  outputs?: Readonly<Record<string, Tensor>>;
  optimiser: Optimiser;
  /** Multiplies the loss before the backward pass; a scalar input, or absent for 1. */
  lossScale?: Tensor;
  /**
   * The program runs a part of a step's samples, and `hyper` tells which part of how many. Gradients, the loss and
   * `outputs` are added up over the parts; the run of the last one updates and leaves the sums as outputs.
   */
  inParts?: boolean;
  /** Bytes that intermediate values may take; forward values are computed again where they would take more. */
  memory?: number;
  /** The compiler's switches that are not at their default, which is on. */
  optimise?: Partial<Optimisations>;
}

/** The trainable leaves that `outputs` depend on, by name. */
export function trainablesOf(outputs: readonly Tensor[]): Map<string, Tensor> {
  const found = new Map<string, Tensor>();
  for (const node of nodesOf(outputs))
    for (const t of node.outputs) if (isTrainable(t)) found.set((node.attrs as ParameterAttrs).name, t);
  return found;
}

/**
 * One training step as a program: forward, backward for the trainable leaves, optimiser. Inputs: the traced ones
 * and `hyper` (see `hyperVector`). Outputs: `loss`, those asked for, and `control` (see `control`).
 */
export async function compileTrainStep(state: State, spec: TrainSpec): Promise<Program> {
  const trainables = trainablesOf([spec.loss]);
  const leaves = [...trainables.values()];
  const found = gradients(spec.loss, leaves, spec.lossScale);
  // A copy of its own for each gradient: two leaves may share one value, and a value may be a constant.
  const named = new Map([...trainables.keys()].map((name, i) => [name, copy(found[i])]));
  const outputs: Record<string, Tensor> = { loss: copy(spec.loss), ...spec.outputs };
  const sums = Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, sizeOf(t.shape)]));
  return compile(state, {
    label: spec.label,
    outputs,
    gradients: named,
    memory: spec.memory,
    optimise: spec.optimise,
    tail: {
      ...optimiserTail(state, spec.optimiser, spec.inParts ? sums : undefined),
      inputs: [hyperInput()],
    },
  });
}
