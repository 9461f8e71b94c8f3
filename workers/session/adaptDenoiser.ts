import {
  type Gpu,
  input,
  isFrozen,
  isParameter,
  mean,
  mul,
  nodesOf,
  type ParameterAttrs,
  type Program,
  State,
  slice,
  sub,
} from '../../gpu-shaders/index.ts';
import { adamw, hyperVector } from '../../gpu-shaders/train/optimiser.ts';
import { compileTrainStep, trainablesOf } from '../../gpu-shaders/train/step.ts';
import { hash32, uniform } from '../../models/data/hash.ts';
import type { DenoiserModel } from '../../models/denoisers/model.ts';
import type { Settings } from '../../models/describe.ts';
import type { Attachment, Base, Method, Tensors } from '../../models/methods/method.ts';
import { noBase, startValue } from '../../models/methods/start.ts';
import { gaussian } from '../../models/samplers/noise.ts';
import { noised, trainingLevel } from '../../models/samplers/noising.ts';
import type { Schedule } from '../../models/samplers/schedule.ts';
import { attachmentScopes } from '../../models/tasks/attachment.ts';
import { inputs as traced } from '../../models/tasks/task.ts';

/** What an adapter learns from: clean latents [C × H × W] with their class. */
export interface Example {
  latents: Float32Array;
  label: number;
}

export interface AdaptRequest {
  gpu: Gpu;
  model: DenoiserModel;
  method: Method;
  settings: Settings;
  schedule: Schedule;
  batch: number;
  seed: number;
  lr: number;
  /** Share of labels that become the null class, where there is one. */
  dropLabels: number;
}

/** Streams of chance of a step; noise has its own. */
const CHANCE = { example: 0, level: 1, label: 2 };

/**
 * Trains a method on a frozen denoiser: each step draws examples, levels and noise, all from seed and step alone, and lowers
 * the squared error of the network's own output (Ho et al., 2020, eq. 14, in whatever it predicts).
 */
export class DenoiserTraining {
  private done = 0;

  private constructor(
    private readonly asked: AdaptRequest,
    readonly attachment: Attachment,
    private readonly state: State,
    private readonly program: Program,
    private readonly size: number,
  ) {}

  static async open(asked: AdaptRequest): Promise<DenoiserTraining> {
    const { gpu, model, method, settings, batch, seed } = asked;
    const attachment = method.attach(model, settings);
    const inputs = model.inputs({ batch });
    const shape = inputs.latents.shape;
    const labels = inputs.label ?? input(traced.labels, [batch], { dtype: 'u32', sample: true });
    const own = attachmentScopes(attachment, true, labels)(0);
    const whole = model.trace(inputs, [attachment.intercept(own)]);
    const output = whole.shape[1] > shape[1] ? slice(whole, [0, 0, 0, 0], [...shape]) : whole;
    const error = sub(output, input('target', shape, { sample: true }));
    const loss = mean(mul(error, error));
    const trainables = trainablesOf([loss]);
    const state = new State(
      gpu,
      [...trainables].map(([name, type]) => ({
        name,
        type,
        rule: attachment.parameters.find((p) => p.name === name)?.rule,
      })),
    );
    const base: Base = { ...noBase, weight: (path) => model.weights.f32(path) };
    for (const parameter of attachment.parameters)
      if (trainables.has(parameter.name))
        state.setTrainable(parameter.name, await startValue(parameter, seed, base));
    for (const buffer of attachment.buffers ?? [])
      state.setMutable(buffer.name, buffer.dtype ?? 'f32', await startValue(buffer, seed, base));
    const read = nodesOf([loss])
      .flatMap((n) => n.outputs)
      .filter((t) => isParameter(t) && isFrozen(t));
    for (const name of new Set(read.map((t) => (t.node.attrs as ParameterAttrs).name)))
      state.setFrozen(name, await model.weights.load(name));
    const program = await compileTrainStep(state, { label: 'adapt', loss, outputs: {}, optimiser: adamw });
    for (const { name, value } of attachment.knobs) program.write(`knob:${name}`, Float32Array.of(value));
    return new DenoiserTraining(
      asked,
      attachment,
      state,
      program,
      shape.slice(1).reduce((n, d) => n * d, 1),
    );
  }

  /** One step over a batch drawn from the examples; gives its loss. */
  async step(examples: readonly Example[]): Promise<number> {
    const { batch, seed, schedule, model, dropLabels, lr } = this.asked;
    const latents = new Float32Array(batch * this.size);
    const target = new Float32Array(batch * this.size);
    const t = new Float32Array(batch);
    const label = new Uint32Array(batch);
    const chance = (kind: number, i: number) => uniform(hash32(hash32(seed, kind), this.done), i);
    for (let i = 0; i < batch; i++) {
      const example = examples[Math.floor(chance(CHANCE.example, i) * examples.length)];
      const level = trainingLevel(schedule, chance(CHANCE.level, i));
      const shown = noised(schedule, level, example.latents, gaussian(this.size, seed, i, this.done));
      latents.set(shown.latents, i * this.size);
      target.set(shown.target, i * this.size);
      t[i] = level.t;
      const { nullClass } = model.conditions;
      label[i] = nullClass !== null && chance(CHANCE.label, i) < dropLabels ? nullClass : example.label;
    }
    for (const [name, data] of Object.entries({ latents, target, t, label })) this.program.write(name, data);
    for (const { name, at } of this.attachment.draws ?? [])
      this.program.write(`draw:${name}`, Float32Array.from(at(this.done, () => chance(3, this.done))));
    this.program.write(traced.random, Uint32Array.of(seed, this.done));
    this.done += 1;
    const hyper = { lr, weightDecay: 0, clip: 1, lossScale: 1, step: this.done };
    this.program.write('hyper', hyperVector(hyper, adamw));
    this.program.run();
    return (await this.program.collect(['loss'])).loss[0];
  }

  /** What was trained, by name. */
  async tensors(): Promise<Tensors> {
    const found = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const { name, shape } of [...this.attachment.parameters, ...(this.attachment.buffers ?? [])])
      found.set(name, { shape, data: await this.state.readTensor(name) });
    return found;
  }

  destroy(): void {
    this.program.destroy();
    this.state.destroy();
  }
}
