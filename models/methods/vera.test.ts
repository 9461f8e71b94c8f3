import { expect, test } from 'vitest';
import { modelIn } from '../backbones/testing.ts';
import { noBase, startValue } from './start.ts';
import { vera } from './vera.ts';

const settings = {
  r: 8,
  d_initial: 0.1,
  rate: 10,
  scale: 1,
  vera_dropout: 0,
  target_modules: ['q_proj', 'fc1'],
};

test('all layers share two projections, wide enough for each, and train two vectors', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const { targets, parameters, buffers } = vera.attach(model, settings);
  const shapes = new Map(model.modules.map((m) => [m.path, m.shape]));
  const numbers = parameters.reduce((n, p) => n + p.shape[0], 0);
  expect(numbers).toBe(targets.reduce((n, path) => n + 8 + shapes.get(path)![0], 0));
  const widest = (axis: number) => Math.max(...targets.map((path) => shapes.get(path)![axis]));
  expect(buffers!.map((b) => b.shape)).toEqual([
    [8, widest(1)],
    [widest(0), 8],
  ]);
  const [a, b] = await Promise.all(buffers!.map((t) => startValue(t, 1, noBase)));
  const deviation = (x: Float32Array) => Math.sqrt(x.reduce((n, v) => n + v * v, 0) / x.length);
  expect(deviation(a)).toBeCloseTo(Math.sqrt(2 / widest(1)), 1);
  expect(deviation(b)).toBeCloseTo(Math.sqrt(2 / 8), 1);
});

test('a file without its projections is refused with what to do', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  expect(() => vera.peft!.read({ config: { r: 8 }, tensors: new Map() }, model)).toThrow(/save_projection/);
});
