import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../backbones/testing.ts';
import { bytesSource } from '../checkpoints/bytes.ts';
import { openFolder } from '../checkpoints/folder.ts';
import { readZip } from '../data/zip.ts';
import { openModel } from '../open.ts';
import { mergedCard, mergedModelZip } from './mergedModel.ts';

test.each([
  ['tools/reference/fixtures/vit-tiny', '1.mlp.fc1.weight'],
  ['tools/reference/fixtures/dinov2-swiglu-tiny', '0.mlp.up_proj.weight'],
  ['models/weights/efficientnet-lite0', 'conv_head.weight'],
  // Its layers lie in files with their axes exchanged.
  ['tools/reference/fixtures/gpt2-tiny', '0.attn.c_attn.weight'],
])('the merged model of %s opens again with its changed weight and its head', async (folder, end) => {
  const model = await modelIn(folder);
  const { path } = model.parameters.find((p) => p.path.endsWith(end))!;
  const weight = (await model.f32(path)).map((x) => x + 0.25);
  const width = model.backbone.featureSize(model.config);
  const classes = ['cat', 'dog', 'hen'];
  const head = new Map([
    ['classifier.weight', { shape: [3, width], data: noise(3 * width, 1) }],
    ['classifier.bias', { shape: [3], data: noise(3, 2) }],
  ]);
  const zip = await readZip(
    bytesSource(
      await mergedModelZip({
        backbone: model.backbone,
        checkpoint: model.checkpoint,
        config: JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')),
        merged: new Map([[path, weight]]),
        head,
        classes,
        preprocessor: { do_rescale: true },
        card: mergedCard({
          title: 'Animals',
          base: 'A *base*',
          library: 'transformers',
          model: 'ViTForImageClassification',
          side: 32,
          interpolatePositions: true,
          about: 'LoRA',
          classes,
        }),
      }),
    ),
    'merged.zip',
  );
  const files = new Map(
    await Promise.all(zip.entries.map(async (e) => [e.path, bytesSource(await e.bytes())] as const)),
  );
  const opened = await openFolder(files);
  const again = openModel(opened);
  expect(await again.f32(path)).toEqual(weight);
  for (const [name, { data }] of head) expect(await opened.checkpoint.f32(name)).toEqual(data);
  const other = model.parameters.find((p) => p.path !== path)!.path;
  expect(await again.f32(other)).toEqual(await model.f32(other));
  expect(JSON.stringify(opened.config)).toContain('"hen"');
  // Where its class declares a float, transformers takes no whole number.
  const config = new TextDecoder().decode(await zip.entries.find((e) => e.path === 'config.json')!.bytes());
  if ('layerscale_value' in opened.config) expect(config).toContain('"layerscale_value": 1.0,');
  const text = new TextDecoder().decode(await zip.entries.find((e) => e.path === 'README.md')!.bytes());
  expect(text).toContain('A \\*base\\*');
});
