import { beforeAll, expect, test } from 'vitest';
import { add, constant, input, linear, mul, relu, sizeOf, type Tensor } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { evaluate, modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import type { Interception } from '../scope.ts';
import { attachmentScopes } from '../tasks/index.ts';
import { adaptformer } from './adaptformer.ts';
import { MethodError } from './method.ts';

const base: Settings = {
  bottleneck: 4,
  scale: 0.5,
  placement: 'parallel',
  last_blocks: 0,
  adapter_dropout: 0,
};
let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

test('has 2 d r + r + d numbers a block, in the blocks asked for', () => {
  const count = (last: number) =>
    adaptformer
      .attach(model, { ...base, last_blocks: last })
      .parameters.reduce((n, p) => n + sizeOf(p.shape), 0);
  const [d, r] = [32, 4];
  expect(count(1)).toBe(2 * d * r + r + d);
  expect(count(0)).toBe(model.blocks * count(1));
});

test.each(['parallel', 'sequential'])(
  '%s: what it adds is s · up(ReLU(down(·))) of the right stream',
  async (placement) => {
    const attachment = adaptformer.attach(model, { ...base, placement });
    const values = new Map(attachment.parameters.map((p, i) => [p.name, noise(sizeOf(p.shape), i + 2)]));
    const value = (path: string, name: string) => {
      const p = attachment.parameters.find((q) => q.name === `${path}.adapter.${name}`)!;
      return constant(values.get(p.name)!, p.shape);
    };
    const byHand: Interception = {
      branch({ path, x, frozen }) {
        if (!path.endsWith('.mlp')) return null;
        const y = frozen();
        const read = placement === 'parallel' ? x : y;
        const inner = relu(linear(read, value(path, 'down.weight'), value(path, 'down.bias')));
        return add(y, mul(linear(inner, value(path, 'up.weight'), value(path, 'up.bias')), 0.5));
      },
    };
    const pixels = input('pixels', [2, 3, 32, 32], { sample: true });
    const features = (with_: Interception): Tensor => model.trace({ pixels }, [with_]).features;
    const labels = input('labels', [2], { dtype: 'u32' });
    const own = attachment.intercept(attachmentScopes(attachment, false, labels)(0));
    const inputs = { pixels: noise(2 * 3 * 32 * 32, 1), 'knob:scale': Float32Array.of(0.5) };
    const found = await evaluate(model, { own: features(own), byHand: features(byHand) }, inputs, values);
    close(found.own, found.byHand, 1e-6);
    const off = { ...inputs, 'knob:scale': Float32Array.of(0) };
    const still = await evaluate(model, { own: features(own), plain: features({}) }, off, values);
    expect(still.own).toEqual(still.plain);
  },
);

test('a backbone without residual branches is refused', () => {
  const bare = { ...model, modules: model.modules, blocks: 2, parameters: [], branches: [], attentions: [] };
  expect(() => adaptformer.attach(bare, base)).toThrow(MethodError);
});
