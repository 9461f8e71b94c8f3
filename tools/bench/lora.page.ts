// The counters wrap WebGPU before anything uses it.
import './counters.ts';
import {
  compile,
  copy,
  frozenCut,
  Gpu,
  input,
  narrowRows,
  type Program,
  State,
  substitute,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { adamw, hyperVector } from '../../gpu-shaders/train/optimiser.ts';
import { compileTrainStep } from '../../gpu-shaders/train/step.ts';
import { traceEncoder } from './encoder.ts';
import { type Measured, run } from './measure.ts';
import { batchOf, optimiser, type Spec, weightsOf } from './model.ts';
import { kernelTimes } from './profile.ts';

export interface PageArguments {
  spec: Spec;
  steps: number;
  /** Whether what no adapter reaches is computed once, before the steps, rather than in each. */
  cached: boolean;
  /** Whether rows that the loss never reads are left out, as a session does. */
  narrow: boolean;
  profile: boolean;
}

async function bench({ spec, steps, cached, narrow, profile }: PageArguments): Promise<Measured> {
  const gpu = await Gpu.open(navigator.gpu);
  const state = stateOf(gpu, spec);
  const { x, labels } = batchOf(spec);
  const traced = traceEncoder(spec);
  const whole = [traced.loss, traced.logits];
  const needed = narrow ? narrowRows(whole) : whole;
  const cut = cached ? frozenCut(needed) : [];
  const inputs = new Map(cut.map((t, i) => [t, input(`cut${i}`, t.shape, { sample: true })]));
  const [loss, logits] = substitute(needed, inputs);
  const prefix = cached ? await prefixValues(state, cut, x) : [];
  const fill = (program: Program) => {
    program.write('x', x);
    program.write('labels', labels);
    prefix.forEach((values, i) => {
      program.write(`cut${i}`, values);
    });
    return program;
  };

  let training: Program | undefined;
  let evaluation: Program | undefined;
  const measured = await run(
    {
      async step(t) {
        training ??= fill(await compileTrainStep(state, { label: 'step', loss, optimiser: adamw }));
        const hyper = { lr: optimiser.lr, weightDecay: optimiser.decay, clip: 0, lossScale: 1, step: t };
        training.write('hyper', hyperVector(hyper, adamw));
        training.run();
        const read = await training.collect(['loss']);
        await gpu.device.queue.onSubmittedWorkDone();
        return read.loss[0];
      },
      async forward() {
        evaluation ??= fill(await compile(state, { label: 'forward', outputs: { logits: copy(logits) } }));
        evaluation.run();
        return evaluation.collect(['logits']);
      },
    },
    steps,
  );
  return { ...measured, kernels: profile && training ? await kernelTimes(training) : undefined };
}

function stateOf(gpu: Gpu, spec: Spec): State {
  const { frozen, trained } = weightsOf(spec);
  const state = new State(
    gpu,
    [...trained].map(([name, w]) => ({ name, type: { shape: outFirst(w.shape), dtype: 'f32' } })),
  );
  for (const [name, w] of frozen) state.setFrozen(name, turned(w));
  for (const [name, w] of trained) state.setTrainable(name, turned(w));
  return state;
}

const outFirst = (shape: number[]) => (shape.length === 2 ? [shape[1], shape[0]] : shape);

/** Matrices [in, out] as [out, in]. */
function turned({ shape, data }: { shape: number[]; data: Float32Array }): Float32Array {
  if (shape.length !== 2) return data;
  const [rows, columns] = shape;
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
}

async function prefixValues(state: State, cut: readonly Tensor[], x: Float32Array): Promise<Float32Array[]> {
  const names = cut.map((_, i) => `cut${i}`);
  const outputs = Object.fromEntries(cut.map((t, i) => [names[i], copy(t)]));
  const program = await compile(state, { label: 'prefix', outputs });
  program.write('x', x);
  program.run();
  const values = await program.collect(names);
  program.destroy();
  return names.map((n) => values[n]);
}

Object.assign(globalThis, { bench });
