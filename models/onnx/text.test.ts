import { expect, test } from 'vitest';
import { parameter } from '../../gpu-shaders/index.ts';
import { close } from '../../gpu-shaders/testing/checkOp.ts';
import { openOnnx } from '../../tools/onnx/node.ts';
import type { OnnxTensor } from '../../workers/session/ports.ts';
import { expectedOf, modelIn } from '../backbones/testing.ts';
import { headOf } from '../tasks/index.ts';
import { writeOnnx } from './index.ts';

const CLASSES = 3;

test.each([
  'bert-tiny',
  'bert-odd-tiny',
  'roberta-tiny',
  'distilbert-odd-tiny',
  'gpt2-odd-tiny',
  'llama-odd-tiny',
  'qwen2-tiny',
  'mistral-tiny',
  't5-tiny',
  't5-odd-tiny',
  'bart-odd-tiny',
])('%s as a file with an open batch scores classes and words as PyTorch does', async (fixture) => {
  const [model, expected] = await Promise.all([
    modelIn(`tools/reference/fixtures/${fixture}`),
    expectedOf(fixture),
  ]);
  const [batch, tokens] = expected.info('ids').shape;
  const file = await writeOnnx((traced) => {
    const output = model.trace(model.inputs(traced, tokens));
    const root = model.scope();
    return {
      outputs: {
        logits: headOf(model, CLASSES, (name, shape) => parameter(name, shape))(output.features),
        language: model.backbone.languageHead!(root, output, model.config),
      },
      read: (name) => model.f32(name),
      name: fixture,
      version: '1',
      weights: 'embedded',
    };
  }, batch);
  expect(file.openBatch).toBe(true);

  const feeds: Record<string, OnnxTensor> = {};
  for (const { name, dtype } of model.sampleInputs(tokens)) {
    const data = await expected.f32(name);
    feeds[name] = { data: dtype === 'u32' ? Uint32Array.from(data) : data, shape: [batch, tokens] };
  }
  const session = await openOnnx().open({ graph: file.graph, weights: null });
  const found = await session.run(feeds);
  await session.close();
  close(found.logits, await expected.f32('logits'), 1e-4, 'logits');
  const mask = await expected.f32('mask');
  const [own, wanted] = [found.language, await expected.f32('language')].map((data) => {
    const width = data.length / mask.length;
    return data.filter((_, i) => mask[Math.floor(i / width)] > 0);
  });
  close(own, wanted, 1e-4, 'language logits');
});
