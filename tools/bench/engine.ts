import {
  type Copy,
  compile,
  copy,
  frozenCut,
  type Gpu,
  input,
  narrowRows,
  type Program,
  State,
  substitute,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { adamw, hyperVector } from '../../gpu-shaders/train/optimiser.ts';
import { compileTrainStep } from '../../gpu-shaders/train/step.ts';
import { floatsToHalves } from '../../models/checkpoints/dtypes.ts';
import type { KernelTime } from '../../workers/protocol.ts';
import { kernelTimes } from '../../workers/session/profile.ts';
import { isMatrix, traceEncoder } from './encoder.ts';
import { batchOf, optimiser, type Spec, type Weight, weightsOf } from './model.ts';

/** How a step is computed; the losses are the same in every variant, but for `half`. */
export interface Variant {
  /** Whether rows that the loss never reads are left out, as a session does. */
  narrow: boolean;
  /** Whether what no adapter reaches is computed once, before the steps, rather than in each. */
  cached: boolean;
  /** Whether frozen matrices are stored in half precision. */
  half?: boolean;
  /** Bytes that a step's intermediate values may take; values are computed again where they would take more. */
  memory?: number;
}

/** A program with its batch in place, and the copies that go before a run of it. */
export interface Ready {
  program: Program;
  copies: Copy[];
}

/** A batch whose cached values lie on the GPU. */
export interface KeptBatch {
  buffers: GPUBuffer[];
  labels: Uint32Array;
}

/** The encoder of the benchmark on our engine, in a page or under Node. */
export class Encoder {
  private readonly state: State;
  private readonly memory: number | undefined;
  private readonly x: Float32Array;
  private readonly labels: Uint32Array;
  private readonly cut: Tensor[];
  private readonly loss: Tensor;
  private readonly logits: Tensor;
  private training: Promise<Ready> | undefined;
  private evaluation: Promise<Ready> | undefined;
  private prefixProgram: Promise<Program> | undefined;
  private own: GPUBuffer[] | undefined;
  private readonly resident: GPUBuffer[] = [];

  constructor(
    private readonly gpu: Gpu,
    spec: Spec,
    { narrow, cached, half, memory }: Variant,
  ) {
    this.memory = memory;
    this.state = stateOf(gpu, spec, half ?? false);
    ({ x: this.x, labels: this.labels } = batchOf(spec));
    const traced = traceEncoder(spec, half);
    const whole = [traced.loss, traced.logits];
    const needed = narrow ? narrowRows(whole) : whole;
    this.cut = cached ? frozenCut(needed) : [];
    const inputs = new Map(
      this.cut.map((t, i) => [t, input(cutName(i), t.shape, { sample: true, dtype: t.dtype })]),
    );
    [this.loss, this.logits] = substitute(needed, inputs);
  }

  /** Step t = 1, 2, …: the loss, once it is read back and the updated adapters are ready. */
  async step(t: number): Promise<number> {
    const { program } = await this.submit(t);
    const read = await program.collect(['loss']);
    await this.gpu.device.queue.onSubmittedWorkDone();
    return read.loss[0];
  }

  /** A step whose loss nobody reads, on another batch where one is given; resolves when it is submitted. */
  async submit(t: number, batch?: KeptBatch): Promise<Ready> {
    const training = await this.trained();
    const hyper = { lr: optimiser.lr, weightDecay: optimiser.decay, clip: 0, lossScale: 1, step: t };
    training.program.write('hyper', hyperVector(hyper, adamw));
    if (batch) training.program.write('labels', batch.labels);
    training.program.run(batch ? this.copiesOf(training.program, batch.buffers) : training.copies);
    return training;
  }

  /** Computes and keeps another batch's cached values. */
  async take(x: Float32Array, labels: Uint32Array): Promise<KeptBatch> {
    (await this.prefixed()).write('x', x);
    return { buffers: await this.keep(), labels };
  }

  /** The logits of the batch. */
  async forward(): Promise<Float32Array> {
    this.evaluation ??= compile(this.state, {
      label: 'forward',
      outputs: { logits: copy(this.logits) },
    }).then((p) => this.filled(p));
    const { program, copies } = await this.evaluation;
    program.run(copies);
    return (await program.collect(['logits'])).logits;
  }

  /** The cached values of the batch, computed once more; resolves when they are ready. */
  async prefix(): Promise<void> {
    (await this.prefixed()).run();
    await this.gpu.device.queue.onSubmittedWorkDone();
  }

  /** The first of the cached values. */
  async prefixValues(): Promise<Float32Array> {
    return (await (await this.prefixed()).collect([cutName(0)]))[cutName(0)];
  }

  /** Operations of a step and of the prefix of one batch, as the compiler counts them. */
  async flops(): Promise<{ step: number; prefix: number }> {
    const prefix = this.cut.length ? (await this.prefixed()).report.flops : 0;
    return { step: (await this.trained()).program.report.flops, prefix };
  }

  /** Submissions that the plan makes of a step, the reading back of the loss among them. */
  async plannedSubmits(): Promise<number> {
    return (await this.trained()).program.pace.submits + 1;
  }

  /** Milliseconds of this thread that the last step's run took. */
  async encodeMs(): Promise<number> {
    return (await this.trained()).program.encodeMs;
  }

  /** What the plan says that weights, trained values, cached values and programs take, in bytes. */
  async plannedBytes(): Promise<number> {
    const programs = [(await this.trained()).program, await this.prefixProgram];
    const cached = this.resident.reduce((n, b) => n + b.size, 0);
    const folded = (await Promise.all(this.state.folded.values())).reduce((n, s) => n + s.bytes, 0);
    return programs.reduce(
      (n, p) => n + (p ? p.report.arenaBytes + p.report.inputBytes + p.report.outputBytes : 0),
      this.state.frozenBytes + 4 * this.state.flatBytes + cached + folded,
    );
  }

  async kernels(): Promise<KernelTime[] | null> {
    const { program, copies } = await this.trained();
    return kernelTimes(program, copies);
  }

  async destroy(): Promise<void> {
    for (const p of [this.training, this.evaluation]) (await p)?.program.destroy();
    (await this.prefixProgram)?.destroy();
    for (const b of this.resident) b.destroy();
    this.state.destroy();
  }

  private trained(): Promise<Ready> {
    this.training ??= compileTrainStep(this.state, {
      label: 'step',
      loss: this.loss,
      optimiser: adamw,
      memory: this.memory,
    }).then((p) => this.filled(p));
    return this.training;
  }

  private prefixed(): Promise<Program> {
    this.prefixProgram ??= compile(this.state, {
      label: 'prefix',
      outputs: Object.fromEntries(this.cut.map((t, i) => [cutName(i), copy(t)])),
    }).then((p) => {
      p.write('x', this.x);
      return p;
    });
    return this.prefixProgram;
  }

  /** Gives a program its batch; cached values come by copies from where they lie, as in a session. */
  private async filled(program: Program): Promise<Ready> {
    program.write('x', this.x);
    program.write('labels', this.labels);
    if (this.cut.length && !this.own) this.own = await this.keep();
    return { program, copies: this.copiesOf(program, this.own ?? []) };
  }

  private copiesOf(program: Program, kept: readonly GPUBuffer[]): Copy[] {
    return kept.flatMap((from, i) => {
      const to = program.input(cutName(i));
      return to ? [{ from, fromOffset: 0, to, toOffset: 0, bytes: to.bytes }] : [];
    });
  }

  private async keep(): Promise<GPUBuffer[]> {
    const prefix = await this.prefixed();
    prefix.run();
    const encoder = this.gpu.device.createCommandEncoder();
    const kept = this.cut.map((_, i) => {
      const { buffer, offset, bytes } = prefix.output(cutName(i));
      const to = this.gpu.buffer(bytes, `cached ${cutName(i)}`);
      encoder.copyBufferToBuffer(buffer, offset, to, 0, bytes);
      return to;
    });
    this.gpu.device.queue.submit([encoder.finish()]);
    this.resident.push(...kept);
    return kept;
  }
}

const cutName = (i: number) => `cut${i}`;

function stateOf(gpu: Gpu, spec: Spec, half: boolean): State {
  const { frozen, trained } = weightsOf(spec);
  const state = new State(
    gpu,
    [...trained].map(([name, w]) => ({ name, type: { shape: outFirst(w.shape), dtype: 'f32' } })),
  );
  for (const [name, w] of frozen)
    state.setFrozen(name, half && isMatrix(w.shape) ? floatsToHalves(turned(w)) : turned(w));
  for (const [name, w] of trained) state.setTrainable(name, turned(w));
  return state;
}

const outFirst = (shape: number[]) => (shape.length === 2 ? [shape[1], shape[0]] : shape);

/** Matrices [in, out] as [out, in]. */
export function turned({ shape, data }: Weight): Float32Array {
  if (shape.length !== 2) return data;
  const [rows, columns] = shape;
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
}
