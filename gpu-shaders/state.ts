import { BindingError } from './compile/plan.ts';
import type { Target } from './compile/target.ts';
import type { Gpu } from './device.ts';
import { byteSize, type DType, type TensorType } from './graph/tensor.ts';

/** A part of a GPU buffer. */
export interface Slice {
  buffer: GPUBuffer;
  offset: number;
  bytes: number;
}

/** How the optimiser treats a parameter. */
export interface UpdateRule {
  /** Multiplies the learning rate; 1 by default. */
  rate?: number;
  /** Whether weight decay applies; it does by default. */
  decay?: boolean;
  /** Elements whose gradient is exactly zero are left alone, moments and all, as PyTorch's SparseAdam leaves them. */
  sparse?: boolean;
}

export interface TrainableSpec {
  name: string;
  type: TensorType;
  rule?: UpdateRule;
}

/** Elements [from, to) of the flat buffer that share a rule. */
export interface UpdateGroup extends Required<UpdateRule> {
  from: number;
  to: number;
}

/** WebGPU's default minStorageBufferOffsetAlignment, in bytes. */
const ALIGN = 256;

/**
 * The persistent tensors that programs share: frozen weights, each in a buffer of its own, and the trainable ones
 * in one flat buffer, with gradients and both moments in flat buffers of the same layout, so that one dispatch
 * updates them all.
 */
export class State {
  private readonly frozen = new Map<string, Slice>();
  private readonly mutable = new Map<string, DType>();
  private readonly layout = new Map<string, { offset: number; bytes: number; type: TensorType }>();
  readonly flatBytes: number;
  /** The flat buffer by update rule, in order. */
  readonly groups: UpdateGroup[] = [];
  /** The kernels that programs over this state use; null lets each computation choose. */
  kernels: Target | null = null;
  /** Values of frozen weights alone that programs had computed, by what they are: weights turned for a product. */
  readonly folded = new Map<string, Promise<Slice>>();
  private readonly foldedBuffers: GPUBuffer[] = [];
  readonly values: GPUBuffer;
  readonly gradients: GPUBuffer;
  readonly moment1: GPUBuffer;
  readonly moment2: GPUBuffer;

  constructor(
    readonly gpu: Gpu,
    trainables: readonly TrainableSpec[],
  ) {
    let offset = 0;
    for (const { name, type, rule } of byRule(trainables)) {
      const bytes = byteSize(type);
      this.layout.set(name, { offset, bytes, type });
      const from = offset / 4;
      offset += Math.ceil(bytes / ALIGN) * ALIGN;
      const group = this.groups.at(-1);
      if (group && keyOf(group) === keyOf(rule)) group.to = offset / 4;
      else this.groups.push({ ...fullRule(rule), from, to: offset / 4 });
    }
    if (offset > gpu.maxBinding) throw new BindingError('All that is trained', offset, gpu.maxBinding);
    this.flatBytes = offset;
    this.values = gpu.buffer(offset, 'trainable values');
    this.gradients = gpu.buffer(offset, 'gradients');
    this.moment1 = gpu.buffer(offset, 'first moments');
    this.moment2 = gpu.buffer(offset, 'second moments');
  }

  get trainableNames(): string[] {
    return [...this.layout.keys()];
  }

  /**
   * Uploads a frozen or a mutable tensor in its storage type; one that is there already is overwritten in place. Throws
   * `BindingError` for one that no buffer of this device can hold.
   */
  setFrozen(name: string, data: ArrayBufferView): void {
    const bytes = Math.ceil(data.byteLength / 4) * 4;
    const buffer = this.frozenBuffer(name, bytes);
    this.write(buffer, 0, data);
    this.frozen.set(name, { buffer, offset: 0, bytes });
  }

  /** The buffer of a frozen tensor, made where there is none. */
  private frozenBuffer(name: string, bytes: number): GPUBuffer {
    const known = this.frozen.get(name);
    if (known && known.bytes !== bytes)
      throw new Error(`'${name}' takes ${known.bytes} bytes, ${bytes} were given.`);
    // What was computed from the weight that was there stays with the programs that read it; later ones compute anew.
    if (known && !this.mutable.has(name)) this.folded.clear();
    const { maxBufferSize } = this.gpu.device.limits;
    if (bytes > maxBufferSize) throw new BindingError(`The weight '${name}'`, bytes, maxBufferSize);
    return known?.buffer ?? this.gpu.buffer(bytes, name);
  }

  /** Writes into a buffer, filled up to whole words. */
  private write(buffer: GPUBuffer, at: number, data: ArrayBufferView): void {
    const bytes = Math.ceil(data.byteLength / 4) * 4;
    let source = data;
    if (bytes !== data.byteLength) {
      const padded = new Uint8Array(bytes);
      padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      source = padded;
    }
    this.gpu.device.queue.writeBuffer(buffer, at, source as BufferSource);
  }

  /**
   * Uploads a frozen tensor of that many bytes as its pieces come, each at its offset in bytes, a multiple of 4: no
   * more than one of them need be in memory. The tensor is there when this resolves.
   */
  async setFrozenPieces(
    name: string,
    bytes: number,
    pieces: AsyncIterable<{ at: number; data: ArrayBufferView }>,
  ): Promise<void> {
    const padded = Math.ceil(bytes / 4) * 4;
    const known = this.frozen.has(name);
    const buffer = this.frozenBuffer(name, padded);
    try {
      for await (const { at, data } of pieces) this.write(buffer, at, data);
    } catch (error) {
      if (!known) buffer.destroy();
      throw error;
    }
    this.frozen.set(name, { buffer, offset: 0, bytes: padded });
  }

  /** Writes a tensor that is not trained but may change between steps; its values come as f32 whatever its type. */
  setMutable(name: string, dtype: DType, values: Float32Array): void {
    this.mutable.set(name, dtype);
    this.setFrozen(name, dtype === 'f32' ? values : Uint32Array.from(values));
  }

  /** One parameter or mutable tensor, as f32. */
  async readTensor(name: string): Promise<Float32Array> {
    const { buffer, offset, bytes } = this.slice(name);
    const words = await this.gpu.read(buffer, offset, bytes);
    const integers = this.mutable.has(name) && this.mutable.get(name) !== 'f32';
    return integers ? Float32Array.from(new Uint32Array(words)) : new Float32Array(words);
  }

  writeTensor(name: string, values: Float32Array): void {
    const dtype = this.mutable.get(name);
    if (dtype) this.setMutable(name, dtype, values);
    else this.setTrainable(name, values);
  }

  /** Everything that a run changes: trained values and mutable tensors. */
  async readTensors(): Promise<Map<string, Float32Array>> {
    const found = await this.readTrainables();
    for (const name of this.mutable.keys()) found.set(name, await this.readTensor(name));
    return found;
  }

  writeTensors(tensors: ReadonlyMap<string, Float32Array>): void {
    for (const [name, values] of tensors) this.writeTensor(name, values);
  }

  /** A parameter's first and second moment. */
  async readMoments(name: string): Promise<[Float32Array, Float32Array]> {
    const { offset, bytes } = this.slice(name);
    const read = async (buffer: GPUBuffer) => new Float32Array(await this.gpu.read(buffer, offset, bytes));
    return [await read(this.moment1), await read(this.moment2)];
  }

  /** Keeps a value of frozen weights alone for other programs; it is there when `made` resolves. */
  fold(text: string, buffer: GPUBuffer, made: Promise<Slice>): void {
    this.foldedBuffers.push(buffer);
    this.folded.set(text, made);
    // Whoever waits for it hears of a failure; the next one tries again.
    made.catch(() => this.folded.delete(text));
  }

  hasFrozen(name: string): boolean {
    return this.frozen.has(name);
  }

  get frozenBytes(): number {
    return [...this.frozen.values()].reduce((n, s) => n + s.bytes, 0);
  }

  /** Where a parameter lies. */
  slice(name: string): Slice {
    const flat = this.layout.get(name);
    if (flat) return { buffer: this.values, offset: flat.offset, bytes: flat.bytes };
    const frozen = this.frozen.get(name);
    if (!frozen) throw new Error(`The parameter '${name}' has no value: it is neither trainable nor loaded.`);
    return frozen;
  }

  /** Where a trainable parameter's gradient goes. */
  gradientSlice(name: string): Slice {
    const flat = this.layout.get(name);
    if (!flat) throw new Error(`'${name}' is not trainable.`);
    return { buffer: this.gradients, offset: flat.offset, bytes: flat.bytes };
  }

  setTrainable(name: string, data: Float32Array): void {
    const flat = this.layout.get(name);
    if (!flat || flat.bytes !== data.byteLength)
      throw new Error(`'${name}' takes ${flat ? flat.bytes / 4 : 'no'} values, ${data.length} were given.`);
    this.gpu.device.queue.writeBuffer(this.values, flat.offset, data as BufferSource);
  }

  /** Current values of all trainable parameters, or of their moments. */
  async readTrainables(
    from: 'values' | 'moment1' | 'moment2' | 'gradients' = 'values',
  ): Promise<Map<string, Float32Array>> {
    const bytes = await this.gpu.read(this[from], 0, this.flatBytes);
    return new Map(
      [...this.layout].map(([name, f]) => [
        name,
        new Float32Array(bytes.slice(f.offset, f.offset + f.bytes)),
      ]),
    );
  }

  /** Restores values or moments read by `readTrainables`. */
  writeTrainables(
    data: ReadonlyMap<string, Float32Array>,
    to: 'values' | 'moment1' | 'moment2' = 'values',
  ): void {
    for (const [name, values] of data) {
      const flat = this.layout.get(name);
      if (!flat) throw new Error(`The checkpoint holds '${name}', which this run does not train.`);
      this.gpu.device.queue.writeBuffer(this[to], flat.offset, values as BufferSource);
    }
  }

  destroy(): void {
    for (const b of [this.values, this.gradients, this.moment1, this.moment2]) b.destroy();
    for (const s of this.frozen.values()) s.buffer.destroy();
    for (const b of this.foldedBuffers) b.destroy();
    this.frozen.clear();
    this.folded.clear();
  }
}

const fullRule = ({ rate = 1, decay = true, sparse = false }: UpdateRule = {}): Required<UpdateRule> => ({
  rate,
  decay,
  sparse,
});

function keyOf(rule?: UpdateRule): string {
  const { rate, decay, sparse } = fullRule(rule);
  return `${rate} ${decay} ${sparse}`;
}

/** Parameters that share a rule side by side, in their own order otherwise: few ranges, so a cheap kernel. */
function byRule(trainables: readonly TrainableSpec[]): TrainableSpec[] {
  const keys = [...new Set(trainables.map((t) => keyOf(t.rule)))];
  return keys.flatMap((key) => trainables.filter((t) => keyOf(t.rule) === key));
}
