import { expect, test } from 'vitest';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { disagreement, variants } from './contest.ts';
import { Encoder, type Variant } from './engine.ts';
import { batchOf, specOf } from './model.ts';

const spec = specOf('vit', 'reduced', { blocks: 3, dim: 16, heads: 2, tokens: 9, batch: 2, adaptedFrom: 2 });

async function losses(variant: Variant): Promise<number[]> {
  const encoder = new Encoder(await testGpu(), spec, variant);
  const list: number[] = [];
  for (let t = 1; t <= 3; t++) list.push(await encoder.step(t));
  const { step, prefix } = await encoder.flops();
  expect(step).toBeGreaterThan(0);
  expect(prefix > 0).toBe(variant.cached);
  await encoder.destroy();
  return list;
}

test('every variant of a step gives the same losses; half-precision weights nearly so', async () => {
  const lists: number[][] = [];
  for (const { variant } of variants) lists.push(await losses(variant));
  expect(lists[0][2]).toBeLessThan(lists[0][0]);
  expect(disagreement([], lists)).toBeLessThan(1e-5);
  expect(disagreement([], [lists[0], await losses({ ...variants[0].variant, half: true })])).toBeLessThan(
    1e-2,
  );
});

test('a batch whose cached values were kept trains as one that is at hand', async () => {
  const encoder = new Encoder(await testGpu(), spec, { narrow: true, cached: true });
  const { x, labels } = batchOf(spec);
  const kept = await encoder.take(x, labels);
  const { program } = await encoder.submit(1, kept);
  const { loss } = await program.collect(['loss']);
  expect(loss[0]).toBeCloseTo((await losses({ narrow: true, cached: true }))[0], 6);
  await encoder.destroy();
});
