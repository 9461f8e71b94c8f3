import { type Gpu, narrowRows, type Program, type State } from '../../gpu-shaders/index.ts';
import type { SampleInput } from '../../models/backbones/backbone.ts';
import { ConfigError } from '../../models/backbones/backbone.ts';
import type { GraphConfig } from '../../models/backbones/graph.ts';
import type { Model } from '../../models/model.ts';
import { FixedBatchError, type OnnxFile, weightsFile, writeOnnx } from '../../models/onnx/index.ts';
import { version } from '../../package.json' with { type: 'json' };
import { stacked } from './batch.ts';
import { isGraph, openGraph } from './graph.ts';
import {
  type Files,
  type OnnxRuntime,
  type OnnxSession,
  type SampleValues,
  StorageFullError,
} from './ports.ts';
import {
  type CutRow,
  compilePrefix,
  computedOutputs,
  cutRows,
  PREFIX_BATCH,
  prefixOutputs,
  type RunShape,
} from './programs.ts';

/** Where a run's frozen prefix is computed: by shaders, or by ONNX Runtime on the processor. */
export type PrefixPlace = 'gpu' | 'processor';

/** The choice of a run, kept beside its checkpoints: the two differ in the last bits, and a resumed run keeps its own. */
export interface PrefixChoice {
  place: PrefixPlace;
  /** What computes it, with its version. */
  by: string;
  /** Why not the processor, where it would have been faster. */
  because?: string;
}

/** Computes the frozen values of pictures. */
export interface Prefix {
  readonly choice: PrefixChoice;
  readonly rows: readonly CutRow[];
  /**
   * Values at the cut by its rows' names, but those that are given with the samples, and `features`, for at most
   * `PREFIX_BATCH` samples, one after another.
   */
  compute(samples: readonly SampleValues[]): Promise<Map<string, Float32Array>>;
  destroy(): void;
}

export interface PrefixOptions {
  gpu: Gpu;
  state: State;
  shape: RunShape;
  /** Absent where there is none; the GPU then computes the prefix. */
  onnx?: OnnxRuntime;
  /** A choice that must be kept; else the processor computes the prefix where the GPU is emulated by it. */
  place?: PrefixPlace;
}

/** Opens the prefix of a run. Throws where a choice that must be kept cannot be. */
export async function openPrefix(options: PrefixOptions): Promise<Prefix> {
  const { gpu, onnx, place, shape } = options;
  if (isGraph(shape.model)) return GraphPrefix.open(shape, shape.model, onnx);
  if (place === 'gpu' || !onnx || (!place && !gpu.info.software)) return GpuPrefix.open(options);
  try {
    return await ProcessorPrefix.open(options.shape, onnx);
  } catch (error) {
    if (place === 'processor') throw error;
    // Shaders are slower here, but a run must not depend on a runtime that may not have been fetched yet.
    return GpuPrefix.open(options, (error as Error).message);
  }
}

const sampleInputs = ({ model, settings }: RunShape) => model.sampleInputs(model.sizeIn(settings));

const computed = (rows: readonly CutRow[]) => rows.filter((r) => !r.given).map((r) => r.name);

const file = (folder: string) => `${folder}/prefix.json`;

/** The choice that a run was started with; null for one that never was. */
export async function keptChoice(files: Files, folder: string): Promise<PrefixChoice | null> {
  const bytes = await files.read(file(folder));
  return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as PrefixChoice);
}

export async function keepChoice(files: Files, folder: string, choice: PrefixChoice): Promise<void> {
  if (await files.size(file(folder))) return;
  try {
    await files.write(file(folder), new TextEncoder().encode(JSON.stringify(choice)));
  } catch (error) {
    // Where there is no room for it there is none for a checkpoint either, and so nothing to resume.
    if (!(error instanceof StorageFullError)) throw error;
  }
}

class GpuPrefix implements Prefix {
  private constructor(
    private readonly program: Program,
    private readonly inputs: readonly SampleInput[],
    readonly choice: PrefixChoice,
    readonly rows: readonly CutRow[],
  ) {}

  static async open({ gpu, state, shape }: PrefixOptions, because?: string): Promise<GpuPrefix> {
    const { program, rows } = await compilePrefix(state, shape);
    const choice: PrefixChoice = { place: 'gpu', by: gpu.info.description, ...(because ? { because } : {}) };
    return new GpuPrefix(program, sampleInputs(shape), choice, rows);
  }

  async compute(samples: readonly SampleValues[]): Promise<Map<string, Float32Array>> {
    for (const [name, { data }] of Object.entries(stacked(this.inputs, samples, PREFIX_BATCH)))
      if (this.program.input(name)) this.program.write(name, data);
    this.program.run();
    const names = [...computed(this.rows), 'features'];
    const values = await this.program.collect(names);
    return new Map(names.map((name) => [name, firstRows(values[name], samples.length, PREFIX_BATCH)]));
  }

  destroy(): void {
    this.program.destroy();
  }
}

class ProcessorPrefix implements Prefix {
  private constructor(
    private readonly session: OnnxSession,
    private readonly file: Pick<OnnxFile, 'openBatch'>,
    private readonly inputs: readonly SampleInput[],
    readonly choice: PrefixChoice,
    readonly rows: readonly CutRow[],
  ) {}

  static async open(shape: RunShape, onnx: OnnxRuntime): Promise<ProcessorPrefix> {
    const rows = cutRows(prefixOutputs(shape, PREFIX_BATCH), PREFIX_BATCH);
    const source = (batch: number) => {
      const all = prefixOutputs(shape, batch);
      const same = cutRows(all, batch);
      const outputs = computedOutputs(all);
      if (JSON.stringify(same) !== JSON.stringify(rows))
        throw new FixedBatchError('The prefix is cut in another place where the batch is another.');
      const read = (name: string) => shape.model.unpacked(name);
      return { outputs, read, name: 'prefix', version, weights: 'external' as const };
    };
    const { graph, weights, openBatch } = await writeOnnx(source, PREFIX_BATCH);
    const session = await onnx.open({ graph, weights: weights && { name: weightsFile, data: weights } });
    const choice: PrefixChoice = { place: 'processor', by: session.by };
    return new ProcessorPrefix(session, { openBatch }, sampleInputs(shape), choice, rows);
  }

  async compute(samples: readonly SampleValues[]): Promise<Map<string, Float32Array>> {
    const batch = this.file.openBatch ? samples.length : PREFIX_BATCH;
    const values = await this.session.run(stacked(this.inputs, samples, batch));
    return new Map(
      Object.entries(values).map(([name, all]) => [name, firstRows(all, samples.length, batch)]),
    );
  }

  destroy(): void {
    void this.session.close();
  }
}

/** A dropped graph: its features are all that is frozen, and so the only value at the cut. */
class GraphPrefix implements Prefix {
  private constructor(
    private readonly session: OnnxSession,
    private readonly inputs: readonly SampleInput[],
    readonly choice: PrefixChoice,
    readonly rows: readonly CutRow[],
  ) {}

  static async open(shape: RunShape, model: Model<GraphConfig>, onnx?: OnnxRuntime): Promise<GraphPrefix> {
    if (!onnx)
      throw new ConfigError('This backbone is an ONNX graph, and there is no ONNX Runtime here to run it.');
    const session = await openGraph(model, onnx);
    const rows = cutRows(prefixOutputs(shape, PREFIX_BATCH), PREFIX_BATCH);
    return new GraphPrefix(session, sampleInputs(shape), { place: 'processor', by: session.by }, rows);
  }

  async compute(samples: readonly SampleValues[]): Promise<Map<string, Float32Array>> {
    const { features } = await this.session.run(stacked(this.inputs, samples));
    return new Map([...computed(this.rows), 'features'].map((name) => [name, features]));
  }

  destroy(): void {
    void this.session.close();
  }
}

/** The bare backbone in ONNX Runtime: its inputs by their names to `features` f32 [batch, width]. */
export async function openBackboneOnnx(model: Model, size: number, onnx: OnnxRuntime): Promise<OnnxSession> {
  if (isGraph(model)) return openGraph(model, onnx);
  const source = (batch: number) => {
    const [features] = narrowRows([model.trace(model.inputs(batch, size)).features]);
    const read = (name: string) => model.unpacked(name);
    return { outputs: { features }, read, name: 'backbone', version, weights: 'external' as const };
  };
  const { graph, weights } = await writeOnnx(source, 1);
  return onnx.open({ graph, weights: weights && { name: weightsFile, data: weights } });
}

const firstRows = (values: Float32Array, count: number, batch: number) =>
  values.slice(0, (values.length / batch) * count);
