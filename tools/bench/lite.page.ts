// The counters wrap WebGPU before anything uses it.
import './counters.ts';
import { copy, Gpu, type Program, State } from '../../gpu-shaders/index.ts';
import { adamw, hyperVector } from '../../gpu-shaders/train/optimiser.ts';
import { compileTrainStep } from '../../gpu-shaders/train/step.ts';
import { openFolder } from '../../models/checkpoints/folder.ts';
import { bytesSource } from '../../models/checkpoints/safetensors.ts';
import { methodById } from '../../models/methods/index.ts';
import { noBase, startValue } from '../../models/methods/start.ts';
import { openModel } from '../../models/open.ts';
import { inputs, traceClassification, trainedParameters } from '../../models/tasks/classification.ts';
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
import { kernelTimes } from './profile.ts';

export interface LiteArguments {
  steps: number;
  cached: boolean;
  profile: boolean;
}

export const lite = { side: 128, classes: 10 };

/** One step of the default LoRA on the embedded default backbone, as a session runs it, on one made-up batch. */
async function bench({ steps, cached, profile }: LiteArguments): Promise<Measured> {
  const gpu = await Gpu.open(navigator.gpu);
  const { state, shape } = await opened(gpu);
  const batch = PREFIX_BATCH;
  const pixels = normal(batch * 3 * lite.side ** 2, 1, 77);
  const cut = cached ? await cutValues(state, shape, pixels) : undefined;

  let program: Program | undefined;
  const made = async () => {
    const p = cached ? await compileTraining(state, shape) : await wholeStep(state, shape, batch);
    p.write(inputs.pixels, pixels);
    for (const [name, values] of cut ?? []) p.write(name, values);
    p.write(
      inputs.labels,
      Uint32Array.from({ length: batch }, (_, i) => i % lite.classes),
    );
    p.write(inputs.weights, new Float32Array(batch).fill(1 / batch));
    for (const k of shape.attachment.knobs) p.write(`knob:${k.name}`, Float32Array.of(k.value));
    return p;
  };
  const measured = await run(
    {
      async step(t) {
        program ??= await made();
        program.write(
          'hyper',
          hyperVector({ lr: 1e-3, weightDecay: 0.01, clip: 0, lossScale: 1, step: t }, adamw),
        );
        program.run();
        const { loss } = await program.collect(['loss']);
        await gpu.device.queue.onSubmittedWorkDone();
        return loss[0];
      },
    },
    steps,
  );
  return { ...measured, kernels: profile ? await kernelTimes(program!) : undefined };
}

async function opened(gpu: Gpu): Promise<{ state: State; shape: RunShape }> {
  const names = ['config.json', 'model.safetensors'];
  const read = async (name: string) => {
    const response = await fetch(`/files/efficientnet-lite0/${name}`);
    return [name, bytesSource(new Uint8Array(await response.arrayBuffer()))] as const;
  };
  const model = openModel(await openFolder(new Map(await Promise.all(names.map(read)))));
  const method = methodById('lora');
  const given = { image_size: lite.side, batch_size: PREFIX_BATCH };
  const settings = completeSettings(method, given, defaultSettings(method, model, 600));
  const attachment = method.attach(model, settings);
  const shape = { model, attachment, classes: lite.classes, settings };
  const parameters = trainedParameters(model, attachment, lite.classes);
  const state = new State(
    gpu,
    parameters.map((p) => ({ name: p.name, type: { shape: p.shape, dtype: 'f32' } })),
  );
  for (const path of frozenWeights(shape)) state.setFrozen(path, await model.load(path));
  for (const p of parameters) state.setTrainable(p.name, await startValue(p, 1, noBase));
  return { state, shape };
}

async function cutValues(
  state: State,
  shape: RunShape,
  pixels: Float32Array,
): Promise<Map<string, Float32Array>> {
  const { program, rows } = await compilePrefix(state, shape);
  program.write(inputs.pixels, pixels);
  program.run();
  const names = rows.map((_, i) => cutName(i));
  const values = await program.collect(names);
  program.destroy();
  return new Map(names.map((n) => [n, values[n]]));
}

function wholeStep(state: State, { model, attachment, settings }: RunShape, batch: number): Promise<Program> {
  const { loss, hits } = traceClassification(model, attachment, {
    classes: lite.classes,
    batch,
    side: lite.side,
    labelSmoothing: settings.label_smoothing as number,
    training: true,
  });
  return compileTrainStep(state, { label: 'whole', loss, outputs: { hits: copy(hits) }, optimiser: adamw });
}

Object.assign(globalThis, { bench });
