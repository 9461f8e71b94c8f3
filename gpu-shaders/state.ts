import type { Gpu } from './device.ts';
import { byteSize, type TensorType } from './graph/tensor.ts';

/** A part of a GPU buffer. */
export interface Slice {
  buffer: GPUBuffer;
  offset: number;
  bytes: number;
}

export interface TrainableSpec {
  name: string;
  type: TensorType;
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
  private readonly layout = new Map<string, { offset: number; bytes: number; type: TensorType }>();
  readonly flatBytes: number;
  readonly values: GPUBuffer;
  readonly gradients: GPUBuffer;
  readonly moment1: GPUBuffer;
  readonly moment2: GPUBuffer;

  constructor(
    readonly gpu: Gpu,
    trainables: readonly TrainableSpec[],
  ) {
    let offset = 0;
    for (const { name, type } of trainables) {
      const bytes = byteSize(type);
      this.layout.set(name, { offset, bytes, type });
      offset += Math.ceil(bytes / ALIGN) * ALIGN;
    }
    this.flatBytes = offset;
    this.values = gpu.buffer(offset, 'trainable values');
    this.gradients = gpu.buffer(offset, 'gradients');
    this.moment1 = gpu.buffer(offset, 'first moments');
    this.moment2 = gpu.buffer(offset, 'second moments');
  }

  get trainableNames(): string[] {
    return [...this.layout.keys()];
  }

  /** Uploads a frozen weight in its storage type. */
  setFrozen(name: string, data: ArrayBufferView): void {
    const bytes = Math.ceil(data.byteLength / 4) * 4;
    const buffer = this.gpu.buffer(bytes, name);
    let source = data;
    if (bytes !== data.byteLength) {
      const padded = new Uint8Array(bytes);
      padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      source = padded;
    }
    this.gpu.device.queue.writeBuffer(buffer, 0, source as BufferSource);
    this.frozen.get(name)?.buffer.destroy();
    this.frozen.set(name, { buffer, offset: 0, bytes });
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
    this.frozen.clear();
  }
}
