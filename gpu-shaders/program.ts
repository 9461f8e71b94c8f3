import type { Recomputed } from './compile/schedule.ts';
import type { Gpu } from './device.ts';
import type { DType } from './graph/tensor.ts';
import { type Timed, timeDispatches } from './profile.ts';
import type { Slice } from './state.ts';
import { Submits } from './submits.ts';

export interface Report {
  label: string;
  /** `bytes`: what a dispatch binds, each binding once. */
  dispatches: { label: string; grid: [number, number, number]; flops: number; bytes: number }[];
  flops: number;
  arenaBytes: number;
  /** What the arena would take without sharing. */
  unsharedBytes: number;
  inputBytes: number;
  outputBytes: number;
  /** What is computed again to stay within a memory limit; null where nothing is. */
  recomputed: Recomputed | null;
}

/** A copy between buffers before the dispatches: a cached feature into a batch row. */
export interface Copy {
  from: GPUBuffer;
  fromOffset: number;
  to: Slice;
  toOffset: number;
  bytes: number;
}

export interface Field {
  dtype: DType;
  slice: Slice;
  /** Place in the host copy of the small inputs; -1 for large ones. */
  hostOffset: number;
}

export interface Dispatch {
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  grid: [number, number, number];
  flops: number;
}

/** What `compile` makes a program of. */
export interface ProgramParts {
  gpu: Gpu;
  report: Report;
  dispatches: Dispatch[];
  inputs: ReadonlyMap<string, Field>;
  outputs: ReadonlyMap<string, Slice>;
  /** Host copy of the small inputs, and the buffer it is written to before a run. */
  host: ArrayBuffer;
  smallInputs: GPUBuffer;
  owned: GPUBuffer[];
}

/** A compiled computation: a fixed list of dispatches over buffers made once. Running it allocates nothing. */
export class Program {
  private readonly staging: GPUBuffer[] = [];
  private stagingMade = 0;
  private dirty = false;
  private readonly cuts: Submits;
  /** Milliseconds of this thread that the last `run` took: writing inputs, encoding, submitting. */
  encodeMs = 0;

  constructor(private readonly parts: ProgramParts) {
    const { dispatches } = parts.report;
    this.cuts = new Submits(
      dispatches.map(({ flops, bytes }) => flops + bytes),
      parts.gpu.info.software,
    );
  }

  /** Submissions that a run makes, and the GPU time of one in milliseconds once the first runs are over. */
  get pace(): { submits: number; milliseconds: number | null } {
    return { submits: this.cuts.starts.length, milliseconds: this.cuts.milliseconds };
  }

  get report(): Report {
    return this.parts.report;
  }

  /** Copies `data` into input `name` from element `offset` on; it is on the GPU when the next `run` starts. */
  write(name: string, data: Float32Array | Uint32Array | Int32Array, offset = 0): void {
    const field = this.parts.inputs.get(name);
    if (!field) return; // The computation does not read it: compiled away.
    if ((offset + data.length) * 4 > field.slice.bytes)
      throw new RangeError(`Input '${name}' holds ${field.slice.bytes / 4} elements.`);
    if (field.hostOffset >= 0) {
      new Uint8Array(this.parts.host, field.hostOffset + offset * 4, data.byteLength).set(
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      );
      this.dirty = true;
    } else
      this.parts.gpu.device.queue.writeBuffer(
        field.slice.buffer,
        field.slice.offset + offset * 4,
        data as BufferSource,
      );
  }

  /** Where an input lies, for copies on the GPU; undefined when nothing reads it. */
  input(name: string): Slice | undefined {
    return this.parts.inputs.get(name)?.slice;
  }

  output(name: string): Slice {
    const output = this.parts.outputs.get(name);
    if (!output) throw new Error(`The program '${this.report.label}' has no output '${name}'.`);
    return output;
  }

  /** Runs once: pending inputs, then copies, then every dispatch. Returns when it is submitted, not when it is done. */
  run(copies: readonly Copy[] = []): void {
    const { gpu, dispatches } = this.parts;
    const { queue } = gpu.device;
    const begun = performance.now();
    this.flush();
    const { starts } = this.cuts;
    const done = this.cuts.timesNext() ? this.timing(starts) : null;
    for (const [i, start] of starts.entries()) {
      const encoder = gpu.device.createCommandEncoder({ label: this.report.label });
      if (i === 0) copyAll(encoder, copies);
      const pass = encoder.beginComputePass();
      const end = starts[i + 1] ?? dispatches.length;
      for (let at = start; at < end; at++) {
        const { pipeline, group, grid } = dispatches[at];
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
      }
      pass.end();
      queue.submit([encoder.finish()]);
      done?.(i);
    }
    this.encodeMs = performance.now() - begun;
  }

  /** A listener to the submissions of one run that hands their times on when all are over. */
  private timing(starts: readonly number[]): (submission: number) => void {
    const { queue } = this.parts.gpu.device;
    const times: number[] = [];
    let last = 0;
    return (submission) => {
      const submitted = performance.now();
      queue.onSubmittedWorkDone().then(
        () => {
          const now = performance.now();
          times.push(now - Math.max(last, submitted));
          last = now;
          if (submission === starts.length - 1) this.cuts.timed(starts, times);
        },
        // A lost device is told where the run's results are awaited.
        () => undefined,
      );
    };
  }

  /**
   * Runs once like `run`, timing each dispatch on the GPU; null where the device has no timestamps. Slower than a run:
   * for a profile, not for training.
   */
  async profile(copies: readonly Copy[] = []): Promise<Timed[] | null> {
    this.flush();
    const encoder = this.parts.gpu.device.createCommandEncoder({ label: this.report.label });
    copyAll(encoder, copies);
    this.parts.gpu.device.queue.submit([encoder.finish()]);
    const times = await timeDispatches(this.parts.gpu, this.parts.dispatches);
    return (
      times &&
      this.report.dispatches.map(({ label, flops, bytes }, i) => ({
        label,
        flops,
        bytes,
        nanoseconds: times[i],
      }))
    );
  }

  private flush(): void {
    if (this.dirty) this.parts.gpu.device.queue.writeBuffer(this.parts.smallInputs, 0, this.parts.host);
    this.dirty = false;
  }

  /** Outputs of the last run, read back without stalling what is queued behind it. */
  async collect<N extends string>(names: readonly N[]): Promise<Record<N, Float32Array>> {
    const slices = names.map((n) => this.output(n));
    const bytes = slices.reduce((n, s) => n + s.bytes, 0);
    const buffer = this.stagingFor(bytes);
    const encoder = this.parts.gpu.device.createCommandEncoder();
    let at = 0;
    for (const s of slices) {
      encoder.copyBufferToBuffer(s.buffer, s.offset, buffer, at, s.bytes);
      at += s.bytes;
    }
    this.parts.gpu.device.queue.submit([encoder.finish()]);
    await buffer.mapAsync(1 /* READ */);
    const data = buffer.getMappedRange().slice(0);
    buffer.unmap();
    this.staging.push(buffer);
    at = 0;
    const result = {} as Record<N, Float32Array>;
    names.forEach((n, i) => {
      result[n] = new Float32Array(data, at, slices[i].bytes / 4);
      at += slices[i].bytes;
    });
    return result;
  }

  /** A free buffer to read back through. Where there is none, several are made: a step's results wait for two others. */
  private stagingFor(bytes: number): GPUBuffer {
    const fits = (b: GPUBuffer) => b.size >= bytes;
    if (!this.staging.some(fits)) {
      const size = Math.ceil(bytes / 4) * 4;
      for (let n = this.stagingMade; n >= 0; n--) {
        this.staging.push(
          this.parts.gpu.device.createBuffer({ size, usage: 0x1 | 0x8 /* MAP_READ | COPY_DST */ }),
        );
        this.stagingMade++;
      }
    }
    return this.staging.splice(this.staging.findIndex(fits), 1)[0];
  }

  destroy(): void {
    for (const b of [...this.parts.owned, ...this.staging]) b.destroy();
  }
}

function copyAll(encoder: GPUCommandEncoder, copies: readonly Copy[]): void {
  for (const c of copies)
    encoder.copyBufferToBuffer(c.from, c.fromOffset, c.to.buffer, c.to.offset + c.toOffset, c.bytes);
}
