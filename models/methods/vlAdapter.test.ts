import { beforeAll, describe, expect, test } from 'vitest';
import { input, sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { Bench, evaluate, modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import { attachmentScopes, traceClassification, trainedParameters } from '../tasks/index.ts';
import { MethodError } from './method.ts';
import { forms, piecesOf } from './taskWeights.ts';
import { taskOf, vlAdapter } from './vlAdapter.ts';

const TASKS = 3;
const CLASSES = 6;
const base: Settings = {
  form: 'adapter',
  sharing: 'multiple',
  tasks: TASKS,
  task: 0,
  reduction: 8,
  kronecker: 2,
  embedding: 3,
  last_blocks: 0,
};
let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

const count = (settings: Settings) =>
  vlAdapter.attach(model, { ...base, ...settings }).parameters.reduce((n, p) => n + sizeOf(p.shape), 0);

test('one adapter a task has exactly as many times the weights of one for all; half lies between', () => {
  const single = count({ sharing: 'single' });
  expect(count({ sharing: 'multiple' })).toBe(TASKS * single);
  expect(count({ sharing: 'half-down' }) + count({ sharing: 'half-up' })).toBe((TASKS + 1) * single);
});

describe.each(['adapter', 'compacter', 'hyperformer'])('%s', (form) => {
  const shape = { classes: CLASSES, batch: 2, size: 32, labelSmoothing: 0 };
  test('a picture goes through the adapters of its label’s task', async () => {
    const attachment = vlAdapter.attach(model, { ...base, form });
    const tensors = new Map(
      trainedParameters(model, attachment, CLASSES).map((p, i) => [p.name, noise(sizeOf(p.shape), i + 2)]),
    );
    const trace = (training: boolean) =>
      traceClassification(model, attachment, { ...shape, training }).logits;
    const bench = await Bench.of(model, { trained: trace(true), resting: trace(false) });
    const run = async (labels: [number, number], task: number) =>
      (
        await bench.run(
          {
            pixels: noise(2 * 3 * 32 * 32, 1),
            labels: Uint32Array.from(labels),
            'knob:task': Float32Array.of(task),
          },
          tensors,
        )
      ).values;
    const row = (x: Float32Array, i: number) => x.subarray(i * CLASSES, (i + 1) * CLASSES);
    const { trained } = await run([5, 1], 0);
    for (const [i, label] of [5, 1].entries()) {
      const { resting } = await run([0, 0], taskOf(label, TASKS) + 1);
      close(row(trained, i), row(resting, i), 1e-5, `label ${label}`);
    }
    expect(row((await run([0, 1], 0)).trained, 0)).not.toEqual(row(trained, 0));
    bench.destroy();
  });
});

test('Compacter’s weights are the sum of its Kronecker products, of the mean task where none is told', async () => {
  const settings = { ...base, form: 'compacter' };
  const branch = { path: 'b', kind: 'mlp' as const, width: 8, block: 0 };
  const [down] = piecesOf([branch], { down: 2, up: 1 }, { ...settings, reduction: 2 });
  const declared = forms.compacter.parameters([down], settings);
  const values = new Map(declared.map((p, i) => [p.name, noise(sizeOf(p.shape), i + 4)]));
  const attachment = { targets: [], parameters: declared, knobs: [], intercept: () => ({}) };
  const own = attachmentScopes(attachment, false, input('labels', [1], { dtype: 'u32' }))(0);
  const { weight } = forms.compacter.weights(own, down, settings);
  const found = (await evaluate(model, { weight }, {}, values)).weight;
  const [n, rows, columns] = [2, down.out / 2, down.inputs / 2];
  const [rule, left, right] = declared.map((p) => values.get(p.name)!);
  const expected = found.map((_, at) => {
    const t = Math.floor(at / (down.out * down.inputs));
    const o = Math.floor(at / down.inputs) % down.out;
    const i = at % down.inputs;
    const [a, b, c, e] = [Math.floor(o / rows), o % rows, Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let k = 0; k < n; k++)
      sum += rule[(k * n + a) * n + c] * left[(t * n + k) * rows + b] * right[(t * n + k) * columns + e];
    return sum;
  });
  close(found, expected, 1e-6);
});

test('features that the Kronecker parts do not divide are refused', () => {
  expect(() => vlAdapter.attach(model, { ...base, form: 'compacter', kronecker: 5 })).toThrow(MethodError);
});
