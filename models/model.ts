import { byteSize, input, parameter, ShapeError, sizeOf, type Tensor } from '../gpu-shaders/index.ts';
import type { Backbone, BackboneOutput, DiskPart, Head, Inputs, SampleInput } from './backbones/backbone.ts';
import { type DiskPlace, locate } from './backbones/names.ts';
import { type Checkpoint, CheckpointError } from './checkpoints/safetensors.ts';
import { type Band, floatPieces, rawPieces, readFloats, readRaw } from './checkpoints/weights.ts';
import type { AttentionCard, BranchCard, ModuleCard, Settings } from './describe.ts';
import type { ModelDescription } from './methods/method.ts';
import { noting } from './places.ts';
import { type Interception, Scope, type Weights } from './scope.ts';
import { type FrozenDType, frozenDType, packed, rounded, type WeightForm } from './weightForms.ts';

/** The setting that holds a sample's size, by its unit. */
export const sizeSetting = { px: 'image_size', tokens: 'max_length', s: 'seconds' } as const;

/** A frozen parameter as the traced backbone reads it. */
interface StoredParameter extends DiskPlace {
  shape: readonly number[];
  dtype: FrozenDType;
  /** Whether the file has it in that type already. */
  asIs: boolean;
  /** The file has the axes of this matrix exchanged. */
  transposed: boolean;
}

/** A backbone with its configuration and the checkpoint its weights come from. */
export class Model<C = unknown> implements ModelDescription {
  readonly modules: ModuleCard[] = [];
  readonly branches: BranchCard[] = [];
  readonly attentions: AttentionCard[] = [];
  readonly norms: { path: string; block: number }[] = [];
  takesTokens = false;
  /** Shape of the last hidden state of one sample of the default size. */
  lastShape: readonly number[] = [];
  /** Parameters that the backbone reads, the statistics of batch norms left out. */
  readonly parameters: readonly { path: string; shape: readonly number[]; block: number }[];
  /** Elements of the parameters that the backbone reads, the statistics of batch norms left out. */
  readonly parameterCount: number;
  /** Paths of weights that layers multiply by, convolutions in groups left out. */
  private readonly layers = new Set<string>();
  /** How its frozen weights are held. */
  readonly form: WeightForm = 'as stored';

  constructor(
    readonly backbone: Backbone<C>,
    readonly config: C,
    readonly checkpoint: Checkpoint,
  ) {
    this.parameters = this.survey();
    this.parameterCount = this.parameters.reduce((n, { shape }) => n + sizeOf(shape), 0);
    for (const { path, grouped } of this.modules) if (!grouped) this.layers.add(`${path}.weight`);
  }

  get blocks(): number {
    return this.backbone.blocks(this.config);
  }

  /** Whether the checkpoint has the parameter of that path. */
  has(path: string): boolean {
    return locate(this.checkpoint, this.backbone, path) !== undefined;
  }

  /** The model with its frozen weights in the form that the setting `weights` names; it is not surveyed again. */
  holding({ weights = 'as stored' }: Settings): Model<C> {
    return weights === this.form ? this : Object.create(this, { form: { value: weights } });
  }

  /** Weights as traced parameters: matrices in the model's form, or in a half-precision checkpoint's f16; vectors in f32. */
  weights(): Weights {
    const known = new Map<string, Tensor>();
    return {
      has: (path) => this.has(path),
      parameter: (path) => {
        let t = known.get(path);
        if (!t) {
          const { shape, dtype } = this.stored(path);
          t = parameter(path, shape, { dtype });
          known.set(path, t);
        }
        return t;
      },
    };
  }

  /** The frozen value of a parameter as its leaf in `weights` holds it. Throws `QuantiseError` where it cannot. */
  async load(path: string): Promise<Float32Array | Uint8Array | Uint32Array> {
    const stored = this.stored(path);
    if (stored.dtype === 'f16' && stored.asIs) return this.halves(stored);
    return packed(path, await this.values(stored), stored);
  }

  /** The same for who reads no quantised types: those come as the f32 that they stand for. */
  async unpacked(path: string): Promise<Float32Array | Uint8Array> {
    const { dtype } = this.stored(path);
    return dtype === 'f16' ? ((await this.load(path)) as Uint8Array) : this.f32(path);
  }

  /** The frozen value of a parameter as kernels read it, in f32. */
  async f32(path: string): Promise<Float32Array> {
    const stored = this.stored(path);
    const values = await this.values(stored);
    return stored.asIs ? values : rounded(path, values, stored);
  }

  private async values({ name, part, shape, transposed }: StoredParameter): Promise<Float32Array> {
    const own = await readFloats(this.checkpoint, name, bandOf(shape, part));
    return transposed ? turned(own, shape) : own;
  }

  private async halves({ name, part, shape, transposed }: StoredParameter): Promise<Uint8Array> {
    const own = await readRaw(this.checkpoint, name, bandOf(shape, part));
    if (!transposed) return own;
    return new Uint8Array(turned(new Uint16Array(own.buffer), shape).buffer);
  }

  /**
   * What `load` gives, in pieces of at most 16 MB, each at its offset in bytes: the way from the file to the GPU without
   * a copy of the whole. A weight that must be turned or quantised comes as one piece.
   */
  async *pieces(path: string): AsyncGenerator<{ at: number; data: ArrayBufferView }> {
    const stored = this.stored(path);
    const { name, part, shape, dtype, asIs, transposed } = stored;
    const band = bandOf(shape, part);
    if (!asIs || transposed) yield { at: 0, data: await this.load(path) };
    else if (dtype === 'f16')
      for await (const { at, data } of rawPieces(this.checkpoint, name, band)) yield { at: at * 2, data };
    else
      for await (const { at, data } of floatPieces(this.checkpoint, name, band)) yield { at: at * 4, data };
  }

  /** Bytes that a frozen parameter takes as it is held. */
  bytesOf(path: string): number {
    const { shape, dtype } = this.stored(path);
    return byteSize({ shape, dtype });
  }

  /** The root of the module tree, with methods stepping in. */
  scope(interceptions: readonly Interception[] = []): Scope {
    return new Scope({ weights: this.weights(), interceptions });
  }

  get head(): Head {
    return this.backbone.head(this.config);
  }

  /** Path of the linear layer that gives every token its class. */
  get tokenHead(): string {
    return this.backbone.tokenHead ?? 'classifier';
  }

  /** Whether a parameter of that name is a head's. */
  isHead(name: string): boolean {
    const { path, hidden } = this.head;
    return [path, ...hidden.map((h) => h.path), this.tokenHead].some((p) => name.startsWith(`${p}.`));
  }

  /** Side, tokens or seconds of its samples under these settings. */
  sizeIn(settings: Settings): number {
    return settings[sizeSetting[this.backbone.size(this.config).unit]] as number;
  }

  /** Inputs of one sample of that size. */
  sampleInputs(size: number): SampleInput[] {
    return this.backbone.inputs(this.config, size);
  }

  /** A batch of samples of that size as inputs of a trace, by name. */
  inputs(batch: number, size: number): Inputs {
    return Object.fromEntries(
      this.sampleInputs(size).map(({ name, shape, dtype }) => [
        name,
        input(name, [batch, ...shape], { dtype, sample: true }),
      ]),
    );
  }

  /** Traces the backbone on a batch, with methods stepping in. */
  trace(inputs: Inputs, interceptions: readonly Interception[] = []): BackboneOutput {
    return this.backbone.forward(this.scope(interceptions), inputs, this.config);
  }

  /** Throws `CheckpointError` where the checkpoint lacks it. */
  private stored(path: string): StoredParameter {
    const place = locate(this.checkpoint, this.backbone, path) ?? { name: this.backbone.diskName(path) };
    const info = this.checkpoint.info(place.name);
    if (!isWeightType(info.dtype))
      throw new CheckpointError(
        this.checkpoint.fileOf(place.name),
        `tensor "${place.name}" is ${info.dtype}, which no weight is; the file does not belong to this model.`,
      );
    const [rows, ...rest] = info.shape;
    const transposed = this.backbone.diskTransposed?.(path) ?? false;
    const own = place.part ? [rows / place.part.of, ...rest] : info.shape;
    const shape = transposed ? [...own].reverse() : own;
    const stored = info.dtype === 'F16' && shape.length > 1 ? 'f16' : 'f32';
    const layer = this.layers.has(path);
    const dtype = frozenDType(this.form, { shape, stored, layer });
    return { ...place, shape, transposed, dtype, asIs: dtype === stored };
  }

  /** Runs a trace; where shapes do not fit it says of which tensors, since the configuration and the file disagree. */
  private fitting<T>(read: ReadonlyMap<string, Tensor>, trace: () => T): T {
    try {
      return trace();
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const last = [...read]
        .slice(-2)
        .map(([path, { shape }]) => `"${this.diskNameOf(path)}" [${shape.join(', ')}]`);
      const file = this.checkpoint.fileOf(this.checkpoint.names()[0]);
      throw new CheckpointError(
        file,
        `${last.join(' or ')} has not the shape that config.json asks for (${error.message}); the two do not belong together.`,
      );
    }
  }

  /** A bias that is there in one block and not in another was lost: without it the model would compute something else. */
  private refuseGaps(absent: ReadonlySet<string>, read: ReadonlyMap<string, Tensor>): void {
    // Neighbours in a list may be of different kinds, such as a convolution and its norm: their weights tell.
    const axes = (path: string) => read.get(path.replace(/bias$/, 'weight'))?.shape.length;
    const kind = (path: string) => `${path.replace(/\.\d+(?=\.)/g, '.*')} ${axes(path)}`;
    const known = new Set([...read.keys()].map(kind));
    for (const path of absent) {
      if (!path.endsWith('.bias') || !known.has(kind(path))) continue;
      const file = this.checkpoint.fileOf(this.checkpoint.names()[0]);
      throw new CheckpointError(
        file,
        `it has no tensor "${this.diskNameOf(path)}", which its other blocks have; fetch it again.`,
      );
    }
  }

  private diskNameOf(path: string): string {
    return locate(this.checkpoint, this.backbone, path)?.name ?? this.backbone.diskName(path);
  }

  /** Traces the backbone once: lists the places where methods may attach, and gives the parameters it reads. */
  private survey(): { path: string; shape: readonly number[]; block: number }[] {
    const { backbone, config } = this;
    const weights = this.weights();
    const read = new Map<string, Tensor>();
    const absent = new Set<string>();
    const block = (path: string) => backbone.blockOf(`${path}.`, config);
    const scope = new Scope({
      weights: {
        has: (path) => {
          const has = weights.has(path);
          if (!has) absent.add(path);
          return has;
        },
        parameter: (path) => {
          read.set(path, weights.parameter(path));
          return read.get(path)!;
        },
      },
      interceptions: [],
      observe: {
        ...noting(this, block),
        tokens: () => {
          this.takesTokens = true;
        },
      },
    });
    const sample = this.inputs(1, backbone.size(config).default);
    this.lastShape = this.fitting(read, () => backbone.forward(scope, sample, config)).last.shape;
    this.refuseGaps(absent, read);
    return [...read]
      .filter(([path]) => !/\.running_(mean|var)$/.test(path))
      .map(([path, { shape }]) => ({ path, shape, block: block(path) }));
  }
}

/** Types that a weight may be stored in. */
const isWeightType = (dtype: string): boolean => ['F32', 'F16', 'BF16', 'F64', 'I8'].includes(dtype);

/** A matrix that becomes `shape` when its axes are exchanged. */
function turned<A extends Float32Array | Uint16Array>(data: A, [rows, columns]: readonly number[]): A {
  const out = data.slice() as A;
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[i * columns + j] = data[j * rows + i];
  return out;
}

/** Where the elements of a parameter of that shape lie in a stored tensor that holds several. */
function bandOf(shape: readonly number[], part: DiskPart | undefined): Band | undefined {
  const size = sizeOf(shape);
  return part && { from: part.part * size, to: (part.part + 1) * size };
}
