import type { Gpu } from '../device.ts';
import { workOf } from '../graph/cost.ts';
import {
  type ConstantAttrs,
  type InputAttrs,
  isConstant,
  isInput,
  isParameter,
  type ParameterAttrs,
} from '../graph/leaves.ts';
import { byteSize, nodesOf, type Tensor } from '../graph/tensor.ts';
import { type Dispatch, type Field, Program, type Report } from '../program.ts';
import type { Slice, State } from '../state.ts';
import { everyOptimisation, type Optimisations } from './options.ts';
import { type Schedule, type ScheduleRequest, schedule } from './schedule.ts';
import { PLAIN, type Target } from './target.ts';
import { isWorthTuning, tuned } from './tune.ts';
import type { KernelCall, Place } from './writer.ts';

/** Dispatches that run after the traced ones, on buffers of their own naming (the optimiser). */
export interface Tail {
  calls: KernelCall[];
  buffers: ReadonlyMap<string, Slice>;
  /** Inputs of the program that only these dispatches read, bound as `p:input:<name>`. */
  inputs?: readonly Tensor[];
  /** Outputs that these dispatches write, in bytes, bound as `o:<name>`. */
  outputs?: Readonly<Record<string, number>>;
  /** Buffers that go when the program goes. */
  owned?: readonly GPUBuffer[];
}

export interface ProgramSpec extends Pick<ScheduleRequest, 'outputs' | 'memory'> {
  label: string;
  /** Gradients to leave in the state's flat buffer, by the trainable's name. */
  gradients?: ReadonlyMap<string, Tensor>;
  tail?: Tail;
  /** Largest binding, in bytes; the device's where absent. */
  limit?: number;
  /** Kernel forms to use instead of the measured ones. */
  target?: Target;
  /** Switches that are not at their default, which is on. */
  optimise?: Partial<Optimisations>;
}

/** Inputs and outputs up to this size share one buffer each, written and read back in one piece. */
const SMALL = 65536;

/** Whether an input has a buffer of its own: large ones, and those that only the GPU writes. */
const isApart = (t: Tensor) => byteSize(t) > SMALL || (t.node.attrs as InputAttrs).resident;

/** Compiles traced outputs into a program over `state`. Constants are folded here, by a program that runs once. */
export async function compile(state: State, spec: ProgramSpec): Promise<Program> {
  const { gpu } = state;
  const { outputs, memory, limit = gpu.maxBinding } = spec;
  const placed = new Map([...(spec.gradients ?? [])].map(([name, t]) => [t, `g:${name}`]));
  const optimise = { ...everyOptimisation, ...spec.optimise };
  const target =
    spec.target ?? (await targetFor(state, [...Object.values(outputs), ...placed.keys()], optimise));
  const plan = schedule({ outputs, placed, limit, memory, target, optimise });
  for (const t of spec.tail?.inputs ?? []) plan.leaves.set(`p:input:${(t.node.attrs as InputAttrs).name}`, t);
  for (const [name, bytes] of Object.entries(spec.tail?.outputs ?? {}))
    plan.outputs.set(name, { key: `o:${name}`, dtype: 'f32', bytes });
  return new Builder(gpu, state, spec, plan).build(await foldConstants(state, plan.folded, target));
}

/** Which kernels are fastest on this device: measured once, by running the candidates on made-up numbers. */
export function tune(gpu: Gpu): Promise<Target> {
  return tuned(gpu, (state, y, target) => compile(state, { label: 'measure', outputs: { y }, target }));
}

/** The state's kernels; without any, the plain ones where a computation is too small for a measurement to pay. */
async function targetFor(
  { gpu, kernels }: State,
  outputs: readonly Tensor[],
  optimise: Optimisations,
): Promise<Target> {
  if (!optimise.tune) return PLAIN;
  return kernels ?? (isWorthTuning(workOf(outputs)) ? tune(gpu) : PLAIN);
}

type Folded = Map<Tensor, Slice>;

/**
 * Computes values of weights and constants alone. Those of weights alone belong to the state and serve every program
 * over it; the others, which a program owns, are in `owned`.
 */
async function foldConstants(
  state: State,
  folded: readonly Tensor[],
  target: Target,
): Promise<{ slices: Folded; owned: GPUBuffer[] }> {
  const owned: GPUBuffer[] = [];
  const missing = new Map<Tensor, Slice>();
  let done: (error?: unknown) => void = () => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    done = (error) => (error === undefined ? resolve() : reject(error));
  });
  const found = folded.map((t) => {
    const text = textOf(t);
    const known = text === null ? undefined : state.folded.get(text);
    if (known) return known;
    const slice = { buffer: state.gpu.buffer(byteSize(t), 'folded'), offset: 0, bytes: byteSize(t) };
    missing.set(t, slice);
    const made = ready.then(() => slice);
    if (text === null) owned.push(slice.buffer);
    else state.fold(text, slice.buffer, made);
    return made;
  });
  if (missing.size) computeInto(state, missing, target).then(() => done(), done);
  const slices = await Promise.all(found);
  return { slices: new Map(folded.map((t, i) => [t, slices[i]])), owned };
}

async function computeInto(state: State, slices: ReadonlyMap<Tensor, Slice>, target: Target): Promise<void> {
  const keys = [...slices.keys()].map((t, i) => [t, `f:${i}`] as const);
  const optimise = { ...everyOptimisation, fold: false };
  const plan = schedule({
    outputs: {},
    placed: new Map(keys),
    limit: state.gpu.maxBinding,
    target,
    optimise,
  });
  const buffers = new Map(keys.map(([t, key]) => [key, slices.get(t)!]));
  const spec = { label: 'fold', outputs: {}, tail: { calls: [], buffers } };
  const program = await new Builder(state.gpu, state, spec, plan).build({ slices: new Map(), owned: [] });
  program.run();
  program.destroy();
}

/** Says how a value comes from weights; null where it also comes from constants, which have no names. */
function textOf(t: Tensor): string | null {
  const index = new Map<Tensor, number>();
  const lines: string[] = [];
  for (const node of nodesOf([t])) {
    if (isConstant(node.outputs[0])) return null;
    for (const x of node.outputs) index.set(x, index.size);
    lines.push(
      `${node.op.name}(${node.inputs.map((x) => index.get(x))})${JSON.stringify(node.attrs ?? null)}`,
    );
  }
  return `${lines.join()}${index.get(t)}`;
}

/** Gives a schedule its buffers, pipelines and bind groups. */
class Builder {
  private readonly owned: GPUBuffer[] = [];
  private readonly inputs = new Map<string, Field>();
  private readonly slices = new Map<string, Slice>();

  constructor(
    private readonly gpu: Gpu,
    private readonly state: State,
    private readonly spec: ProgramSpec,
    private readonly plan: Schedule,
  ) {}

  async build(folded: { slices: Folded; owned: GPUBuffer[] }): Promise<Program> {
    this.owned.push(...folded.owned, ...(this.spec.tail?.owned ?? []));
    this.placeArenas();
    const { host, buffer } = this.placeInputs();
    for (const [key, t] of this.plan.leaves)
      if (!isInput(t)) this.slices.set(key, this.leafSlice(t, folded.slices));
    for (const name of this.spec.gradients?.keys() ?? [])
      this.slices.set(`g:${name}`, this.state.gradientSlice(name));
    const outputs = this.placeOutputs();
    for (const [key, slice] of this.spec.tail?.buffers ?? []) this.slices.set(key, slice);
    const calls = [...this.plan.calls, ...(this.spec.tail?.calls ?? [])];
    const dispatches = await Promise.all(calls.map((c) => this.dispatch(c)));
    return new Program({
      gpu: this.gpu,
      report: this.report(calls),
      dispatches,
      inputs: this.inputs,
      outputs,
      host,
      smallInputs: buffer,
      owned: this.owned,
    });
  }

  private own(bytes: number, label: string): GPUBuffer {
    const buffer = this.gpu.buffer(bytes, `${this.spec.label} ${label}`);
    this.owned.push(buffer);
    return buffer;
  }

  private placeArenas(): void {
    const arenas = this.plan.plan.arenas.map((bytes, i) => this.own(bytes, `arena ${i}`));
    for (const [key, s] of this.plan.plan.slots)
      this.slices.set(key, { buffer: arenas[s.arena], offset: s.offset, bytes: s.bytes });
  }

  /** Small things of one kind lie side by side in one buffer, 256 bytes apart. */
  private placeInputs(): { host: ArrayBuffer; buffer: GPUBuffer } {
    const leaves = [...this.plan.leaves].filter(([, t]) => isInput(t));
    let total = 0;
    const small = leaves
      .filter(([, t]) => !isApart(t))
      .map(([key, t]) => {
        const at = total;
        total += Math.ceil(byteSize(t) / 256) * 256;
        return { key, t, at };
      });
    const buffer = this.own(total, 'inputs');
    for (const { key, t, at } of small) this.addInput(key, t, { buffer, offset: at, bytes: byteSize(t) }, at);
    for (const [key, t] of leaves)
      if (isApart(t))
        this.addInput(key, t, { buffer: this.own(byteSize(t), key), offset: 0, bytes: byteSize(t) }, -1);
    return { host: new ArrayBuffer(Math.max(total, 256)), buffer };
  }

  private addInput(key: string, t: Tensor, slice: Slice, hostOffset: number): void {
    this.slices.set(key, slice);
    this.inputs.set((t.node.attrs as InputAttrs).name, { dtype: t.dtype, slice, hostOffset });
  }

  private placeOutputs(): Map<string, Slice> {
    const places = new Map<string, Place>();
    for (const place of this.plan.outputs.values())
      if (place.key.startsWith('o:')) places.set(place.key, place);
    const small = [...places.values()].filter((p) => p.bytes <= SMALL);
    const shared = this.own(
      small.reduce((n, p) => n + Math.ceil(p.bytes / 256) * 256, 0),
      'results',
    );
    let at = 0;
    for (const p of places.values()) {
      if (p.bytes > SMALL)
        this.slices.set(p.key, { buffer: this.own(p.bytes, p.key), offset: 0, bytes: p.bytes });
      else {
        this.slices.set(p.key, { buffer: shared, offset: at, bytes: p.bytes });
        at += Math.ceil(p.bytes / 256) * 256;
      }
    }
    return new Map([...this.plan.outputs].map(([name, p]) => [name, this.slices.get(p.key)!]));
  }

  private leafSlice(t: Tensor, folded: Folded): Slice {
    const known = folded.get(t);
    if (known) return known;
    if (isParameter(t)) {
      const { name, band } = t.node.attrs as ParameterAttrs;
      const slice = this.state.slice(name);
      return band ? { ...slice, offset: slice.offset + band.offset, bytes: byteSize(t) } : slice;
    }
    const { data } = t.node.attrs as ConstantAttrs;
    const buffer = this.own(data.byteLength, 'constant');
    this.gpu.device.queue.writeBuffer(buffer, 0, data as BufferSource);
    return { buffer, offset: 0, bytes: data.byteLength };
  }

  private async dispatch(call: KernelCall): Promise<Dispatch> {
    const access = call.bindings.map(
      (b): GPUBufferBindingType =>
        b.place.key.startsWith('p:') && !b.writes ? 'read-only-storage' : 'storage',
    );
    const { pipeline, layout } = await this.gpu.pipeline(call.label, call.code, access);
    const group = this.gpu.device.createBindGroup({
      layout,
      entries: call.bindings.map((b, binding) => {
        const slice = this.slices.get(b.place.key);
        if (!slice) throw new Error(`'${call.label}' binds '${b.place.key}', which has no memory.`);
        return {
          binding,
          resource: {
            buffer: slice.buffer,
            offset: slice.offset,
            size: Math.ceil(Math.max(slice.bytes, 16) / 16) * 16,
          },
        };
      }),
    });
    return { pipeline, group, grid: call.grid, flops: call.flops };
  }

  private report(calls: readonly KernelCall[]): Report {
    const { arenas, unshared } = this.plan.plan;
    const sum = (places: Iterable<{ bytes: number }>) => [...places].reduce((n, p) => n + p.bytes, 0);
    return {
      label: this.spec.label,
      dispatches: calls.map(({ label, grid, flops, bindings }) => ({
        label,
        grid,
        flops,
        bytes: sum(bindings.map((b) => b.place)),
      })),
      flops: calls.reduce((n, c) => n + c.flops, 0),
      arenaBytes: arenas.reduce((a, b) => a + b, 0),
      unsharedBytes: unshared,
      inputBytes: sum([...this.inputs.values()].map((f) => f.slice)),
      outputBytes: sum(this.plan.outputs.values()),
      recomputed: this.plan.recomputed,
    };
  }
}
