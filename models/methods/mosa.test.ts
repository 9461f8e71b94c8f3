import { beforeAll, expect, test } from 'vitest';
import { input, sizeOf, type Tensor } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { Bench, modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import { attachmentScopes } from '../tasks/index.ts';
import { MethodError } from './method.ts';
import { mosa, partition } from './mosa.ts';
import { noBase, startValue } from './start.ts';

const N = 4;
const base: Settings = {
  bottleneck: 5,
  experts: N,
  strategy: 'hierarchical',
  consistency: 1,
  scale: 0.5,
  last_blocks: 1,
  adapter_dropout: 0,
};
const PATH = 'vit.layers.1.mlp';
let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

test('masks divide the weights into parts of equal size', () => {
  let state = 3;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (const count of [160, 162]) {
    const parts = partition(count, N, draw);
    const sizes = Array.from({ length: N }, (_, e) => parts.filter((p) => p === e).length);
    expect(sizes.reduce((a, b) => a + b)).toBe(count);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    expect(parts.slice(0, 40)).not.toEqual(partition(count, N, draw).slice(0, 40));
  }
});

test('has as many numbers as the dense adapter, however many experts', () => {
  const count = (settings: Settings) =>
    mosa.attach(model, { ...base, ...settings }).parameters.reduce((n, p) => n + sizeOf(p.shape), 0);
  expect(count({})).toBe(count({ experts: 1 }));
  expect(count({ strategy: 'split' })).toBe(count({ experts: 1 }));
});

/** Output of the adapted branch, with the expert drawn as input. */
async function branchOutput(settings: Settings) {
  const attachment = mosa.attach(model, settings);
  const values = new Map<string, Float32Array>();
  for (const b of attachment.buffers!) values.set(b.name, await startValue(b, 1, noBase));
  attachment.parameters.forEach((p, i) => {
    values.set(p.name, noise(sizeOf(p.shape), i + 2));
  });
  const labels = input('labels', [2], { dtype: 'u32' });
  const output = (training: boolean): Tensor => {
    let found: Tensor | undefined;
    const watch = {
      branch({ path, frozen }: { path: string; frozen(): Tensor }) {
        if (path !== PATH) return null;
        found = frozen();
        return found;
      },
    };
    const own = attachment.intercept(attachmentScopes(attachment, training, labels)(0));
    model.trace(model.inputs(2, 32), [own, watch]);
    return found!;
  };
  const bench = await Bench.of(model, { drawn: output(true), merged: output(false) });
  const run = async (expert: number) => {
    const inputs = {
      pixels: noise(2 * 3 * 32 * 32, 1),
      'knob:scale': Float32Array.of(0.5),
      'draw:expert': Float32Array.of(expert),
    };
    return (await bench.run(inputs, values)).values;
  };
  const experts: Float32Array[] = [];
  let merged = new Float32Array();
  for (let e = 0; e < N; e++) {
    const v = await run(e);
    experts.push(v.drawn);
    merged = v.merged as Float32Array<ArrayBuffer>;
  }
  bench.destroy();
  return { experts, merged };
}

test('the merged layer gives the mean of its experts’ outputs', async () => {
  const { experts, merged } = await branchOutput(base);
  const mean = merged.map((_, i) => experts.reduce((n, e) => n + e[i], 0) / N);
  close(merged, mean, 1e-5);
  expect(experts[0]).not.toEqual(experts[1]);
});

test('with one expert the drawn and the merged adapter are one', async () => {
  const { experts, merged } = await branchOutput({ ...base, strategy: 'split', experts: 1 });
  expect(experts[0]).toEqual(merged);
});

test('each layer draws for itself, twice in a step', () => {
  const { draws, targets } = mosa.attach(model, { ...base, last_blocks: 0 });
  let n = 0;
  const drawn = draws!.map((d) => d.at(1, () => (n++ % 4) / 4));
  expect(drawn.map((d) => d.length)).toEqual([targets.length, targets.length]);
  expect(drawn.flat()).toEqual([0, 1, 2, 3]);
});

test('more experts than weights are refused', () => {
  const tiny = { ...model, modules: [], parameters: [], attentions: [], blocks: 1 };
  const branch = { path: 'mlp', kind: 'mlp' as const, width: 2, block: 0 };
  expect(() => mosa.attach({ ...tiny, branches: [branch] }, { ...base, bottleneck: 1 })).toThrow(MethodError);
});
