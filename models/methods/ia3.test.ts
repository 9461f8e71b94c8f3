import { expect, test } from 'vitest';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import type { ModuleCard } from '../describe.ts';
import { ia3 } from './ia3.ts';
import { MethodError } from './method.ts';
import { bareModel, baseOf } from './testing.ts';

const linear = (path: string): ModuleCard => ({
  path,
  kind: 'linear',
  shape: [4, 3],
  grouped: false,
  block: 0,
});
const depthwise: ModuleCard = { path: 'dw', kind: 'conv2d', shape: [6, 1, 3, 3], grouped: true, block: 0 };
const model = {
  ...bareModel,
  modules: [linear('k'), linear('fc2'), depthwise],
  parameters: [{ path: 'k.bias', shape: [4], block: 0 }],
};
const settings = { target_modules: ['k', 'fc2', 'dw'], feedforward_modules: ['fc2'], scale: 1 };
const weights = new Map([
  ['k.weight', noise(12, 1)],
  ['k.bias', noise(4, 2)],
  ['fc2.weight', noise(12, 3)],
  ['dw.weight', noise(54, 4)],
]);

test('has one factor for each output, or for each input where it scales those', () => {
  const shapes = ia3.attach(model, settings).parameters.map((p) => [p.name, p.shape]);
  expect(shapes).toEqual([
    ['k.ia3_l', [4, 1]],
    ['fc2.ia3_l', [1, 3]],
    ['dw.ia3_l', [1, 6, 1, 1]],
  ]);
});

test('folds to diag(l) W and diag(l) b, or to W diag(l); at scale 0 to what was there', async () => {
  const attachment = ia3.attach(model, settings);
  const tensors = new Map(
    attachment.parameters.map((p, i) => [
      p.name,
      {
        shape: p.shape,
        data: noise(
          p.shape.reduce((n, d) => n * d),
          i + 7,
        ),
      },
    ]),
  );
  const l = (path: string) => tensors.get(`${path}.ia3_l`)!.data;
  const merged = await ia3.merge!(attachment, settings, tensors, baseOf(weights));
  const w = (path: string) => weights.get(path)!;
  close(
    merged.get('k.weight')!,
    w('k.weight').map((x, i) => x * l('k')[Math.floor(i / 3)]),
    1e-6,
  );
  close(
    merged.get('k.bias')!,
    w('k.bias').map((x, i) => x * l('k')[i]),
    1e-6,
  );
  close(
    merged.get('fc2.weight')!,
    w('fc2.weight').map((x, i) => x * l('fc2')[i % 3]),
    1e-6,
  );
  close(
    merged.get('dw.weight')!,
    w('dw.weight').map((x, i) => x * l('dw')[Math.floor(i / 9)]),
    1e-6,
  );
  expect(await ia3.merge!(attachment, { ...settings, scale: 0 }, tensors, baseOf(weights))).toEqual(weights);
});

test('the inputs of a grouped convolution are refused by its name', () => {
  const wrong = { ...settings, feedforward_modules: ['dw'] };
  expect(() => ia3.attach(model, wrong)).toThrow(MethodError);
  expect(() => ia3.attach(model, wrong)).toThrow("'dw'");
});
