import 'fake-indexeddb/auto';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { create, globals } from 'webgpu';
import { expectedOf, modelIn } from '../../models/backbones/testing.ts';
import { openOnnx } from '../../tools/onnx/node.ts';
import type { DroppedFile } from '../protocol.ts';
import type { ReferenceWorker } from '../reference.ts';
import type { OnnxSession } from '../session/ports.ts';
import type { OpenBackbone } from './backbones.ts';
import { runnerOf } from './runner.ts';
import { browser, fakeReference } from './testing.ts';
import { GpuTrainer } from './trainer.ts';

const folder = 'tools/reference/fixtures/vit-tiny';

/** The reference worker's part that opens any graph, in this process. */
function reference(): ReferenceWorker {
  const opened: OnnxSession[] = [];
  return {
    ...fakeReference(),
    open: async (graph) => {
      const session = await openOnnx().open(graph);
      return { id: opened.push(session) - 1, by: session.by };
    },
    run: (id, inputs) => opened[id].run(inputs),
    close: (id) => opened[id].close(),
  };
}

test('a backbone without a graph of its own runs in ONNX Runtime as PyTorch computes it', async () => {
  const model = await modelIn(folder);
  const expected = await expectedOf('vit-tiny');
  const [count, , side] = expected.info('pixel_values').shape;
  const runner = await runnerOf({ model, reference: null } as OpenBackbone, reference(), side);
  const all = await expected.f32('pixel_values');
  const size = all.length / count;
  const samples = Array.from({ length: count }, (_, i) => ({ pixels: all.slice(i * size, (i + 1) * size) }));
  const found = await runner.features(samples);
  const features = await expected.f32('features');
  const largest = Math.max(...features.map(Math.abs));
  expect(Math.max(...features.map((v, i) => Math.abs(v - found[i]))) / largest).toBeLessThan(1e-5);
  await runner.close();
});

test('a dropped backbone is checked against the graph that we write', async () => {
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const openGpu = () => GpuTrainer.open(gpu);
  const { engine, machine } = await (await browser('check')).tab({ openGpu, reference: reference() });
  expect(machine.backend).toBe('webgpu');
  const files: DroppedFile[] = readdirSync(folder).map((name) => ({
    path: `vit/${name}`,
    file: new File([readFileSync(`${folder}/${name}`)], name),
  }));
  const understood = await engine.take(files);
  if (understood.kind !== 'backbone') throw new Error(understood.sentence);
  const { maxRelativeError, passed } = await engine.check(understood.backbone.id);
  console.log(`a dropped backbone beside ONNX Runtime: ${maxRelativeError.toExponential(1)}`);
  expect(passed).toBe(true);
  expect(maxRelativeError).toBeLessThan(1e-5);
});
