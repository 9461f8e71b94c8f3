// The counters wrap WebGPU before anything uses it.
import './counters.ts';
import { compile, copy, Gpu, type Program, State } from '../../gpu-shaders/index.ts';
import { adamw, hyperVector } from '../../gpu-shaders/train/optimiser.ts';
import { compileTrainStep } from '../../gpu-shaders/train/step.ts';
import { openFolder } from '../../models/checkpoints/folder.ts';
import { bytesSource } from '../../models/checkpoints/safetensors.ts';
import { methodById } from '../../models/methods/index.ts';
import { noBase, startValue } from '../../models/methods/start.ts';
import { openModel } from '../../models/open.ts';
import { inputs, traceClassification, trainedParameters } from '../../models/tasks/index.ts';
import { kernelTimes } from '../../workers/session/profile.ts';
import {
  compilePrefix,
  compileTraining,
  cutName,
  frozenWeights,
  PREFIX_BATCH,
  type RunShape,
} from '../../workers/session/programs.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { type Measured, run } from './measure.ts';
import { normal } from './model.ts';

export interface LiteArguments {
  side: number;
  batch: number;
  /** The backbone's features alone, or a step of the default LoRA as a session runs it, on one made-up batch. */
  part: 'forward' | 'step';
  /** Whether the step reads cached values, or computes everything from the pixels. */
  cached: boolean;
  steps: number;
  profile: boolean;
}

const CLASSES = 10;

async function bench(args: LiteArguments): Promise<Measured> {
  const gpu = await Gpu.open(navigator.gpu);
  const { state, shape } = await opened(gpu, args);
  const pixels = normal(args.batch * 3 * args.side ** 2, 1, 77);
  return args.part === 'forward'
    ? forwards(state, shape, pixels, args)
    : trainingSteps(gpu, state, shape, pixels, args);
}

async function forwards(
  state: State,
  { model }: RunShape,
  pixels: Float32Array,
  { batch, side, steps }: LiteArguments,
): Promise<Measured> {
  const { features } = model.trace(model.inputs(batch, side));
  const program = await compile(state, { label: 'forward', outputs: { features: copy(features) } });
  program.write('pixels', pixels);
  let values = new Float32Array();
  const forward = async () => {
    program.run();
    values = (await program.collect(['features'])).features as Float32Array<ArrayBuffer>;
  };
  const measured = await run({ forward }, 0, steps);
  return { ...measured, values: [...values.slice(0, 256)] };
}

async function trainingSteps(
  gpu: Gpu,
  state: State,
  shape: RunShape,
  pixels: Float32Array,
  { batch, cached, steps, profile }: LiteArguments,
): Promise<Measured> {
  const cut = cached ? await cutValues(state, shape, pixels, batch) : new Map<string, Float32Array>();
  const program = cached ? await compileTraining(state, shape) : await wholeStep(state, shape, batch);
  program.write('pixels', pixels);
  for (const [name, values] of cut) program.write(name, values);
  program.write(
    inputs.labels,
    Uint32Array.from({ length: batch }, (_, i) => i % CLASSES),
  );
  program.write(inputs.weights, new Float32Array(batch).fill(1 / batch));
  for (const k of shape.attachment.knobs) program.write(`knob:${k.name}`, Float32Array.of(k.value));
  const step = async (t: number) => {
    const hyper = { lr: 1e-3, weightDecay: 0.01, clip: 0, lossScale: 1, step: t };
    program.write('hyper', hyperVector(hyper, adamw));
    program.run();
    const { loss } = await program.collect(['loss']);
    await gpu.device.queue.onSubmittedWorkDone();
    return loss[0];
  };
  const measured = await run({ step }, steps);
  const kernels = profile ? await kernelTimes(program) : null;
  return {
    ...measured,
    flops: { step: program.report.flops, prefix: 0 },
    ...(kernels ? { kernels } : {}),
  };
}

async function opened(gpu: Gpu, { side, batch }: LiteArguments): Promise<{ state: State; shape: RunShape }> {
  const names = ['config.json', 'model.safetensors'];
  const read = async (name: string) => {
    const response = await fetch(`/weights/efficientnet-lite0/${name}`);
    return [name, bytesSource(new Uint8Array(await response.arrayBuffer()))] as const;
  };
  const model = openModel(await openFolder(new Map(await Promise.all(names.map(read)))));
  const method = methodById('lora');
  const given = { image_size: side, batch_size: batch };
  const settings = completeSettings(method, given, defaultSettings(method, model, 600));
  const attachment = method.attach(model, settings);
  const shape = { model, attachment, classes: CLASSES, settings };
  const parameters = trainedParameters(model, attachment, CLASSES);
  const state = new State(
    gpu,
    parameters.map((p) => ({ name: p.name, type: { shape: p.shape, dtype: 'f32' } })),
  );
  for (const path of frozenWeights(shape)) state.setFrozen(path, await model.load(path));
  for (const p of parameters) state.setTrainable(p.name, await startValue(p, 1, noBase));
  return { state, shape };
}

/** The cached values of the batch, computed as a session does: `PREFIX_BATCH` pictures at a time. */
async function cutValues(
  state: State,
  shape: RunShape,
  pixels: Float32Array,
  batch: number,
): Promise<Map<string, Float32Array>> {
  const { program, rows } = await compilePrefix(state, shape);
  const parts = new Map(rows.map((row) => [row.name, new Float32Array((row.bytes / 4) * batch)]));
  const size = pixels.length / batch;
  for (let from = 0; from < batch; from += PREFIX_BATCH) {
    const count = Math.min(PREFIX_BATCH, batch - from);
    program.write('pixels', pixels.slice(from * size, (from + count) * size));
    program.run();
    const names = rows.map((_, i) => cutName(i));
    const values = await program.collect(names);
    rows.forEach(({ name, bytes }) => {
      parts.get(name)!.set(values[name].slice(0, (bytes / 4) * count), (from * bytes) / 4);
    });
  }
  program.destroy();
  return parts;
}

function wholeStep(state: State, { model, attachment, settings }: RunShape, batch: number): Promise<Program> {
  const { loss, hits } = traceClassification(model, attachment, {
    classes: CLASSES,
    batch,
    size: model.sizeIn(settings),
    labelSmoothing: settings.label_smoothing as number,
    training: true,
  });
  return compileTrainStep(state, { label: 'whole', loss, outputs: { hits: copy(hits) }, optimiser: adamw });
}

Object.assign(globalThis, { bench });
