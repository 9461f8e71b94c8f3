import { expect, test } from 'vitest';
import { methodById } from '../../models/methods/index.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { MemoryFiles } from '../../workers/storage/memory.ts';
import { openOnnx } from '../onnx/node.ts';
import { openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';
import { FolderSamples } from './samples.ts';

const fixtures = 'tools/reference/fixtures';

test('a head trains on the features of an ONNX graph, which ONNX Runtime computes', async () => {
  const { model, files, hash } = await openBackbone(`${fixtures}/graphs/convolutions.onnx`);
  expect(model.backbone.title).toBe('ONNX graph');
  const method = methodById('linear-probe');
  const split = { val: 0, test: 0, seed: 1, fromFolders: true };
  const dataset = await FolderSamples.open(`${fixtures}/peft-vit-lora/images`, files.preprocessor!, split);
  const gpu = await openGpu();
  const session = await Session.open({
    gpu,
    files: new MemoryFiles(),
    backboneHash: hash,
    model,
    method,
    settings: completeSettings(
      method,
      { batch_size: 8, epochs: 4, lr: 0.05, augment: 0 },
      defaultSettings(method, model, 40),
    ),
    dataset,
    folder: 'runs/one/checkpoints',
    onnx: openOnnx(),
    report: () => {},
  });
  expect(session.prefix.choice).toMatchObject({
    place: 'processor',
    by: expect.stringContaining('ONNX Runtime'),
  });
  const losses: number[] = [];
  await session.run(
    { wish: 'run', turns: [], now: () => 0 },
    {
      step: ({ loss }) => void losses.push(loss),
      evaluated: () => {},
      notice: (message) => {
        throw new Error(message);
      },
    },
  );
  expect(losses.at(-1)).toBeLessThan(losses[0]);
  expect([...(await session.trained()).keys()].sort()).toEqual(['classifier.bias', 'classifier.weight']);
  session.destroy();
  gpu.destroy();
});
