import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  compile,
  copy,
  isFrozen,
  isParameter,
  isTrainable,
  nodesOf,
  type ParameterAttrs,
  type Program,
  State,
  sizeOf,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { openFolder } from '../checkpoints/folder.ts';
import { bytesSource, type Checkpoint, readSafetensors } from '../checkpoints/safetensors.ts';
import type { Model } from '../model.ts';
import { openModel } from '../open.ts';

const root = new URL('../../', import.meta.url);
const pathOf = (name: string) => fileURLToPath(new URL(name, root));
const source = (path: string) => bytesSource(new Uint8Array(readFileSync(path)));

const nameOf = (t: Tensor) => (t.node.attrs as ParameterAttrs).name;

/** The model in a folder named from the repository's root. */
export async function modelIn(folder: string): Promise<Model> {
  const files = readdirSync(pathOf(folder), { withFileTypes: true })
    .filter((f) => f.isFile())
    .map(({ name }) => [name, source(pathOf(`${folder}/${name}`))] as const);
  return openModel(await openFolder(new Map(files)));
}

/** Paths of the parameters that a model's features depend on. */
export function frozenNames(model: Model): string[] {
  const { features } = model.trace(model.inputs(1, model.backbone.size(model.config).default));
  return nodesOf([features])
    .flatMap((n) => n.outputs)
    .filter(isParameter)
    .map(nameOf);
}

/** What the reference computed, by the name of its fixture. */
export const expectedOf = (name: string): Promise<Checkpoint> =>
  readSafetensors(source(pathOf(`tools/reference/fixtures/${name}/expected.safetensors`)));

export type Values = Readonly<Record<string, Float32Array | Uint32Array>>;

/** Traced outputs and gradients as a program with a model's frozen weights, to be run with various values. */
export class Bench<N extends string> {
  private constructor(
    private readonly state: State,
    private readonly program: Program,
    private readonly names: N[],
    private readonly tensors: string[],
    private readonly hasGradients: boolean,
  ) {}

  static async of<N extends string>(
    model: Model,
    outputs: Readonly<Record<N, Tensor>>,
    gradients: ReadonlyMap<string, Tensor> = new Map(),
  ): Promise<Bench<N>> {
    const parameters = nodesOf([...Object.values<Tensor>(outputs), ...gradients.values()])
      .flatMap((n) => n.outputs)
      .filter(isParameter);
    const trainables = new Map(parameters.filter(isTrainable).map((t) => [nameOf(t), t]));
    const specs = [...trainables].map(([name, type]) => ({ name, type }));
    const state = new State(await testGpu(), specs);
    for (const name of new Set(parameters.filter(isFrozen).map(nameOf)))
      state.setFrozen(name, await model.load(name));
    const changing = new Map(
      parameters.filter((t) => !isFrozen(t) && !isTrainable(t)).map((t) => [nameOf(t), t]),
    );
    for (const [name, t] of changing) state.setMutable(name, t.dtype, new Float32Array(sizeOf(t.shape)));
    const names = Object.keys(outputs) as N[];
    const program = await compile(state, {
      label: 'test',
      outputs: Object.fromEntries(names.map((n) => [n, copy(outputs[n])])),
      gradients: new Map([...gradients].map(([name, t]) => [name, copy(t)])),
    });
    return new Bench(state, program, names, [...trainables.keys(), ...changing.keys()], gradients.size > 0);
  }

  /** One run; `trained` holds the values of parameters and buffers, names that the outputs do not read left aside. */
  async run(inputs: Values, trained: ReadonlyMap<string, Float32Array> = new Map()) {
    for (const name of this.tensors) this.state.writeTensor(name, trained.get(name)!);
    for (const [name, data] of Object.entries(inputs)) this.program.write(name, data);
    this.program.run();
    return {
      values: await this.program.collect(this.names),
      gradients: this.hasGradients
        ? await this.state.readTrainables('gradients')
        : new Map<string, Float32Array>(),
    };
  }

  destroy(): void {
    this.program.destroy();
    this.state.destroy();
  }
}

/** The values of one run. */
export async function evaluate<N extends string>(
  model: Model,
  outputs: Readonly<Record<N, Tensor>>,
  inputs: Values,
  trained?: ReadonlyMap<string, Float32Array>,
): Promise<Record<N, Float32Array>> {
  const bench = await Bench.of(model, outputs);
  const { values } = await bench.run(inputs, trained);
  bench.destroy();
  return values;
}
