import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pictureInput } from '../../models/backbones/backbone.ts';
import { bytesSource, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import { stacked } from '../../workers/session/batch.ts';
import { openOnnx } from '../onnx/node.ts';
import { parse } from './args.ts';
import { openBackbone } from './backbone.ts';
import { exportCommand } from './export.ts';
import { FolderSamples } from './samples.ts';

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
