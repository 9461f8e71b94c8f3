import { expect, test } from 'vitest';
import { State } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { hyperVector } from '../../gpu-shaders/train/optimiser.ts';
import { modelIn } from '../../models/backbones/testing.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import { causalLm, classification, inputs, type Task, trainedParameters } from '../../models/tasks/index.ts';
import { completeSettings, defaultSettings } from '../settings.ts';
import { Refreshing } from './live.ts';
import {
  compileTraining,
  costsOf,
  cutRows,
  frozenWeights,
  optimiserOf,
  partsOf,
  prefixOutputs,
  type RunShape,
  sampleInputsOf,
} from './programs.ts';

const [BATCH, STEPS, CLASSES] = [5, 2, 3];

async function shapeOf(folder: string, task: Task, given: Settings): Promise<RunShape> {
  const model = await modelIn(`tools/reference/fixtures/${folder}`);
  const method = methodById('lora');
  const settings = completeSettings(
    method,
    { batch_size: BATCH, lr: 1e-2, r: 2, lora_dropout: 0.3, ...given },
    defaultSettings(method, model, 20),
  );
  // Without a prefix the samples themselves are the program's inputs.
  const optimise = { prefix: false };
  return { model, attachment: method.attach(model, settings), classes: CLASSES, settings, task, optimise };
}

/** Values of `BATCH` samples by input; few tokens of the first count, more of the later ones. */
function samplesOf(shape: RunShape): Map<string, (Float32Array | Uint32Array)[]> {
  return new Map(
    sampleInputsOf(shape).map(({ name, shape: sizes, dtype }, at) => {
      const n = sizes.reduce((a, b) => a * b, 1);
      const each = Array.from({ length: BATCH }, (_, i) => {
        if (name === 'counted') return Float32Array.from({ length: n }, (_, t) => Number(t <= i));
        if (dtype === 'u32') return Uint32Array.from({ length: n }, (_, t) => (7 * t + 3 * i + at) % 11);
        return noise(n, 10 * at + i + 1);
      });
      return [name, each];
    }),
  );
}

async function train(folder: string, task: Task, given: Settings) {
  const shape = await shapeOf(folder, task, given);
  const { settings, model, attachment } = shape;
  const { parts, rows } = partsOf(settings);
  const trained = trainedParameters(model, attachment, CLASSES, task);
  const state = new State(
    await testGpu(),
    trained.map((p) => ({ name: p.name, type: { shape: p.shape, dtype: 'f32' } })),
  );
  for (const path of frozenWeights(shape)) state.setFrozen(path, await model.load(path));
  for (const [i, { name, shape: s }] of trained.entries())
    state.setTrainable(
      name,
      noise(
        s.reduce((a, b) => a * b, 1),
        i + 1,
      ).map((v) => v / 5),
    );
  const program = await compileTraining(state, shape);
  const cut = cutRows(prefixOutputs(shape, rows), rows);
  const samples = samplesOf(shape);
  const fill = (target: typeof program, step: number, part: number, of: number) => {
    const count = Math.min(rows, BATCH - part * rows);
    for (const { name, given: from } of cut)
      for (let i = 0; i < count; i++) {
        const values = samples.get(from!)![part * rows + i];
        target.write(name, values, i * values.length);
      }
    target.write(
      inputs.labels,
      Uint32Array.from({ length: rows }, (_, i) => (part * rows + i) % CLASSES),
    );
    target.write(inputs.weights, new Float32Array(rows).fill(1 / BATCH, 0, count));
    target.write(inputs.random, Uint32Array.of(3, step, ...(parts > 1 ? [part] : [])));
    for (const k of attachment.knobs) target.write(`knob:${k.name}`, Float32Array.of(k.value));
    const hyper = { lr: 1e-2, weightDecay: 0, clip: 1, lossScale: 1, step, part: { index: part % of, of } };
    target.write('hyper', hyperVector(hyper, optimiserOf(settings)));
  };
  const figures: number[][] = [];
  for (let step = 1; step <= STEPS; step++) {
    for (let part = 0; part < parts; part++) {
      fill(program, step, part, parts);
      program.run();
    }
    const { loss, hits } = await program.collect(['loss', 'hits']);
    figures.push([loss[0], hits.reduce((a, b) => a + b, 0)]);
  }
  const refreshing = new Refreshing(state, shape);
  const live = refreshing.at({ step: STEPS, steps: STEPS, epochSteps: 1 }, async (target, step, part) => {
    fill(target, step, part, 1);
    target.run();
  });
  const asked = attachment.parameters[0].name;
  const result = {
    figures,
    values: await state.readTrainables(),
    asked: (await live.gradients([asked])).get(asked)!,
    costs: costsOf(shape, 2 ** 27),
  };
  refreshing.destroy();
  program.destroy();
  state.destroy();
  return result;
}

test.each<[string, Task, Settings]>([
  ['vit-tiny', classification, { image_size: 32, target_modules: ['q_proj', 'v_proj'] }],
  ['gpt2-tiny', causalLm, { max_length: 8, target_modules: ['c_attn'] }],
])('%s: a batch of five in two parts learns as the whole does', async (folder, task, given) => {
  const whole = await train(folder, task, given);
  const parts = await train(folder, task, { ...given, accumulate: 2 });
  parts.figures.forEach((f, i) => {
    close(f, whole.figures[i], 1e-5, `loss and hits of step ${i + 1}`);
  });
  for (const [name, v] of whole.values) close(parts.values.get(name)!, v, 1e-4, name);
  close(parts.asked, whole.asked, 1e-4, 'gradient that a method asks for');
  expect(parts.costs.arenaBytes).toBeLessThan(whole.costs.arenaBytes);
  expect(parts.costs.trainable).toBe(whole.costs.trainable);
});

test('parts hold as many samples as it takes, the last one what is left', () => {
  expect(partsOf({ batch_size: 10, accumulate: 4 })).toEqual({ parts: 4, rows: 3 });
  expect(partsOf({ batch_size: 4, accumulate: 3 })).toEqual({ parts: 2, rows: 2 });
  expect(partsOf({ batch_size: 8 })).toEqual({ parts: 1, rows: 8 });
});
