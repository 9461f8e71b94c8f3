import { Gpu, NoGpuError } from '../../gpu-shaders/index.ts';
import type { Method } from '../../models/methods/method.ts';
import type { StudioError } from '../protocol.ts';
import type { TrainedState } from '../session/checkpoint.ts';
import type { OnnxRuntime } from '../session/ports.ts';
import { Session, type SessionOptions } from '../session/session.ts';
import type { OpenBackbone } from './backbones.ts';

/** What the engine asks of a session, on a GPU or without one. */
export type RunSession = Pick<
  Session,
  | 'shape'
  | 'attachment'
  | 'base'
  | 'parameters'
  | 'checkpoints'
  | 'classes'
  | 'steps'
  | 'samplesOf'
  | 'run'
  | 'startKnobs'
  | 'answersTokens'
  | 'atStart'
  | 'startTensors'
  | 'write'
  | 'logits'
  | 'evaluate'
  | 'predict'
  | 'labelled'
  | 'probe'
  | 'takeProbe'
  | 'takeLast'
  | 'takeBest'
  | 'trained'
  | 'spectra'
  | 'profile'
  | 'destroy'
> & {
  readonly options: Omit<SessionOptions, 'gpu'>;
  readonly state: TrainedState;
};

export type OpenOptions = Omit<SessionOptions, 'gpu' | 'backboneHash' | 'model'> & {
  readonly backbone: OpenBackbone;
};

/** What trains on this machine. */
export interface Trainer {
  readonly backend: 'webgpu' | 'wasm';
  readonly name: string;
  readonly software: boolean;
  readonly features: readonly string[];
  /** Largest buffer and largest binding, in bytes. */
  readonly limits: { readonly maxBufferBytes: number; readonly maxBindingBytes: number };
  /** Throws where it cannot train a method. */
  accept(method: Method): void;
  /** Makes sure of a device before sessions are opened: one lost while nothing ran on it is replaced unseen. */
  ready(): Promise<void>;
  open(options: OpenOptions): Promise<RunSession>;
  /** Resolves with the reason when the device under the sessions opened so far is lost; never where there is none. */
  lost(): Promise<string>;
  /** Whether the device that a session was opened on is still there. */
  holds(session: RunSession): boolean;
  /** Takes a new device in place of a lost one. Throws `NoGpuError` where there is none. */
  renew(): Promise<void>;
}

/** Times that a new device is asked for, a second apart. */
const renewTries = 6;

/** The device was lost three times in one run. */
export class DeviceLostError extends Error {
  override name = 'DeviceLostError';
  readonly advice =
    'Close other pages that use the graphics, choose a smaller batch or image size, then resume: the run goes on from its last checkpoint.';
}

/** Trains on WebGPU. */
export class GpuTrainer implements Trainer {
  readonly backend = 'webgpu';
  readonly #gpu: GPU | undefined;
  readonly #onnx: OnnxRuntime | undefined;
  #device: Gpu;
  readonly #dead = new WeakSet<Gpu>();
  readonly #deviceOf = new WeakMap<RunSession, Gpu>();

  private constructor(gpu: GPU | undefined, device: Gpu, onnx: OnnxRuntime | undefined) {
    this.#gpu = gpu;
    this.#onnx = onnx;
    this.#device = device;
    this.#watch(device);
  }

  /** `onnx` computes frozen prefixes where the GPU is emulated. Throws `NoGpuError`. */
  static async open(gpu: GPU | undefined, onnx?: OnnxRuntime): Promise<GpuTrainer> {
    return new GpuTrainer(gpu, await Gpu.open(gpu), onnx);
  }

  get name(): string {
    return this.#device.info.description;
  }

  get software(): boolean {
    return this.#device.info.software;
  }

  get features(): readonly string[] {
    return this.#device.info.features;
  }

  get limits() {
    const { maxBufferSize } = this.#device.device.limits;
    return { maxBufferBytes: maxBufferSize, maxBindingBytes: this.#device.maxBinding };
  }

  accept(): void {}

  async open({ backbone, ...options }: OpenOptions): Promise<RunSession> {
    const gpu = this.#device;
    const session = await Session.open({
      ...options,
      gpu,
      model: backbone.model,
      backboneHash: backbone.hash,
      onnx: this.#onnx,
    });
    this.#deviceOf.set(session, gpu);
    return session;
  }

  async ready(): Promise<void> {
    if (this.#dead.has(this.#device)) await this.renew();
  }

  holds(session: RunSession): boolean {
    const device = this.#deviceOf.get(session);
    return device !== undefined && !this.#dead.has(device);
  }

  async lost(): Promise<string> {
    const { reason, message } = await this.#device.lost;
    return message || reason;
  }

  async renew(): Promise<void> {
    // A lost adapter gives no device any more: everything is asked for anew.
    // While the graphics process starts again there is no adapter for a moment.
    for (let tries = 1; ; tries++) {
      try {
        this.#device = await Gpu.open(this.#gpu);
        break;
      } catch (error) {
        if (!(error instanceof NoGpuError) || tries === renewTries) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
    this.#watch(this.#device);
  }

  #watch(device: Gpu): void {
    void device.lost.then(() => this.#dead.add(device));
  }
}

/** Why there is no WebGPU here, for the Machine page. */
export function whyNoGpu(error: Error): StudioError {
  return {
    name: error.name,
    message: `${error.message} Training is limited to a linear probe on frozen features, on the processor.`,
    advice:
      'Use Chrome or Edge 113, Safari 26 or Firefox 141, or newer. Where they have it switched off, open chrome://flags, enable "Unsafe WebGPU Support", and check chrome://gpu for a driver on the blocklist.',
  };
}
