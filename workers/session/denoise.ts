import {
  compile,
  copy,
  type Gpu,
  input,
  isParameter,
  nodesOf,
  type ParameterAttrs,
  type Program,
  State,
  slice,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type {
  Autoencoder,
  BatchShape,
  DenoiserModel,
  DiffusersWeights,
} from '../../models/denoisers/model.ts';

/** The weights that traced outputs read, on the GPU. */
async function stateOf(gpu: Gpu, outputs: readonly Tensor[], weights: DiffusersWeights): Promise<State> {
  const state = new State(gpu, []);
  const read = nodesOf(outputs)
    .flatMap((n) => n.outputs)
    .filter(isParameter);
  for (const name of new Set(read.map((t) => (t.node.attrs as ParameterAttrs).name)))
    state.setFrozen(name, await weights.load(name));
  return state;
}

/** What a batch is told beside its latents. */
export interface Told {
  /** Class numbers, one a sample; the null class's too. */
  labels?: Uint32Array;
  /** Condition tokens [batch × tokens × width]. */
  context?: Float32Array;
}

/** A denoiser compiled once for a batch; every evaluation of a sampling run is a run of it. */
export class DenoiserProgram {
  private constructor(
    readonly model: DenoiserModel,
    readonly batch: number,
    /** Latents of one sample. */
    readonly shape: readonly [channels: number, height: number, width: number],
    private readonly state: State,
    private readonly program: Program,
  ) {}

  static async open(gpu: Gpu, model: DenoiserModel, asked: BatchShape): Promise<DenoiserProgram> {
    const inputs = model.inputs(asked);
    const [batch, channels, height, width] = inputs.latents.shape;
    const whole = model.trace(inputs);
    // Channels behind the latents' own are variances, which no sampler here reads.
    const output = whole.shape[1] > channels ? slice(whole, [0, 0, 0, 0], [...inputs.latents.shape]) : whole;
    const state = await stateOf(gpu, [output], model.weights);
    const program = await compile(state, { label: 'denoise', outputs: { output: copy(output) } });
    return new DenoiserProgram(model, batch, [channels, height, width], state, program);
  }

  /** The network's output for latents [batch, C, H, W] at one timestep. */
  async predict(latents: Float32Array, t: number, { labels, context }: Told): Promise<Float32Array> {
    this.program.write('latents', latents);
    this.program.write('t', new Float32Array(this.batch).fill(t));
    if (labels) this.program.write('label', labels);
    if (context) this.program.write('context', context);
    this.program.run();
    const { output } = await this.program.collect(['output']);
    return output;
  }

  destroy(): void {
    this.program.destroy();
    this.state.destroy();
  }
}

/** An autoencoder's decoder compiled once for a batch: pixels of a denoiser's latents. */
export class DecoderProgram {
  private constructor(
    private readonly autoencoder: Autoencoder,
    /** Pixels of one sample. */
    readonly shape: readonly [channels: number, height: number, width: number],
    private readonly state: State,
    private readonly program: Program,
  ) {}

  static async open(
    gpu: Gpu,
    autoencoder: Autoencoder,
    batch: number,
    [channels, height, width]: readonly [number, number, number],
  ): Promise<DecoderProgram> {
    const pixels = autoencoder.decode(input('latents', [batch, channels, height, width], { sample: true }));
    const state = await stateOf(gpu, [pixels], autoencoder.weights);
    const program = await compile(state, { label: 'decode', outputs: { pixels: copy(pixels) } });
    const [, c, h, w] = pixels.shape;
    return new DecoderProgram(autoencoder, [c, h, w], state, program);
  }

  async decode(latents: Float32Array): Promise<Float32Array> {
    const { scale, shift } = this.autoencoder.config;
    this.program.write(
      'latents',
      latents.map((v) => v / scale + shift),
    );
    this.program.run();
    const { pixels } = await this.program.collect(['pixels']);
    return pixels;
  }

  destroy(): void {
    this.program.destroy();
    this.state.destroy();
  }
}
