import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pictureInput } from '../../models/backbones/backbone.ts';
import { bytesSource, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import { addProduct } from '../../models/methods/merge.ts';
import { stacked } from '../../workers/session/batch.ts';
import { readAdapter } from '../../workers/session/readAdapter.ts';
import { openOnnx } from '../onnx/node.ts';
import { parse } from './args.ts';
import { openBackbone } from './backbone.ts';
import { exportCommand } from './export.ts';
import { mergeCommand } from './merge.ts';
import { entriesOf, FolderSamples } from './samples.ts';

const fixtures = 'tools/reference/fixtures';
const backbone = `${fixtures}/vit-tiny`;
const adapter = `${fixtures}/peft-vit-lora/final`;

const exported = (out: string) =>
  exportCommand(parse(['export', '--backbone', backbone, '--adapter', adapter, '--out', out]));

test('an adapter that PEFT trained becomes an ONNX file with the logits that PEFT computes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-export-'));
  const out = join(folder, 'model.onnx');
  await exported(out);
  const graph = new Uint8Array(await readFile(out));
  await rm(folder, { recursive: true });
  expect(new TextDecoder('latin1').decode(graph)).toContain(
    '["class 0","class 1","class 2","class 3","class 4"]',
  );

  const { files } = await openBackbone(backbone);
  const split = { val: 0, test: 0, seed: 1, fromFolders: true };
  const dataset = await FolderSamples.open(`${fixtures}/peft-vit-lora/images`, files.preprocessor!, split);
  const side = 32;
  const samples = await dataset.load([...dataset.samples.keys()], side, null);
  const session = await openOnnx().open({ graph, weights: null });
  const { logits } = await session.run({
    pixel_values: stacked(pictureInput(side), samples).pixels,
  });
  await session.close();

  const expected = await readSafetensors(
    bytesSource(await readFile(`${fixtures}/peft-vit-lora/expected.safetensors`)),
  );
  const final = await expected.f32('final_logits');
  const largest = Math.max(...final.map(Math.abs));
  const off = Math.max(...final.map((v, i) => Math.abs(v - logits[i]))) / largest;
  console.log(`exported model against PEFT: logits differ by ${off.toExponential(1)} of the largest`);
  expect(logits.length).toBe(final.length);
  expect(off).toBeLessThan(1e-5);
});

test('says what is missing', async () => {
  await expect(exported('model.zip')).rejects.toThrow('.onnx');
});

test('adapters of one backbone are added: half of one twice is that one, and two have the ranks of both', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-merge-'));
  const merge = (...more: string[]) =>
    mergeCommand(
      parse(['merge', '--backbone', backbone, '--adapter', adapter, '--adapter', adapter, ...more]),
    );
  const { model } = await openBackbone(backbone);
  const [zip, small] = ['merged.zip', 'small.zip'].map((name) => join(folder, name));
  await merge('--out', zip);
  await merge('--out', small, '--weights', '0.75,0.25', '--rank', '4');
  const [one, sum, cut] = await Promise.all(
    [adapter, zip, small].map(async (path) => readAdapter(await entriesOf(path), model)),
  );
  expect([sum.settings.r, cut.settings.r]).toEqual([2 * (one.settings.r as number), 4]);
  const path = 'vit.layers.0.attention.q_proj';
  const [product, ...sums] = [one, sum, cut].map(({ method, settings, tensors }) => {
    const updates = method.toLowRank!(method.attach(model, settings), settings, tensors);
    const update = updates.find((u) => u.path === path)!;
    return addProduct(
      new Float32Array((update.a.data.length / update.a.shape[0]) * update.b.shape[0]),
      update,
    );
  });
  for (const s of sums) for (const [i, v] of s.entries()) expect(v).toBeCloseTo(product[i], 5);
  expect(sum.tensors.get('classifier.bias')).toEqual(one.tensors.get('classifier.bias'));

  await merge('--out', join(folder, 'model.zip'), '--merged');
  const files = await entriesOf(join(folder, 'model.zip'));
  expect(files.map((f) => f.path)).toContain('model.safetensors');
  await expect(merge('--out', zip, '--weights', '1')).rejects.toThrow('one for each');
  await expect(mergeCommand(parse(['merge', '--adapter', adapter, '--out', zip]))).rejects.toThrow('twice');
  await rm(folder, { recursive: true });
});
