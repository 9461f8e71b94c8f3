import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { bytesSource, type Checkpoint, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import { methodById } from '../../models/methods/index.ts';
import { tasks } from '../../models/tasks/index.ts';
import type { Dataset, SampleValues } from '../../workers/session/ports.ts';
import type { PrefixPlace } from '../../workers/session/prefix.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { MemoryFiles } from '../../workers/storage/memory.ts';
import { openOnnx } from '../onnx/node.ts';
import { openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';

const fixtures = 'tools/reference/fixtures';
const gpu = openGpu();

/** The samples of a fixture, in its order, with more padding behind them where `more` asks for it. */
async function datasetOf(file: Checkpoint, classes: number, more = 0): Promise<Dataset> {
  const [count, length] = file.info('ids').shape;
  const named = ['ids', 'mask', 'targets', 'counted', 'decoder_ids'].filter((name) => file.has(name));
  const values = await Promise.all(
    named.map(async (name) => {
      const { buffer } = Uint8Array.from(await file.bytes(name));
      const all = file.info(name).dtype === 'I32' ? new Uint32Array(buffer) : new Float32Array(buffer);
      return [name, all] as const;
    }),
  );
  const row = (all: Uint32Array | Float32Array, i: number) => {
    const padded = new (all.constructor as typeof Uint32Array)(length + more);
    padded.set(all.subarray(i * length, (i + 1) * length));
    return padded;
  };
  const sample = (i: number): SampleValues => ({
    types: new Uint32Array(length + more),
    ...Object.fromEntries(values.map(([name, all]) => [name, row(all, i)])),
  });
  return {
    classes: Array.from({ length: classes }, (_, i) => `tag ${i}`),
    samples: Array.from({ length: count }, (_, i) => ({ path: `${i}`, label: 0, split: 'train' as const })),
    hash: `language-${count}`,
    load: async (samples) => samples.map(sample),
  };
}

const cases = [
  { name: 'causal-lm', folder: 'llama-tiny', targets: ['q_proj', 'v_proj'] },
  { name: 'masked-lm', folder: 'bert-tiny', targets: ['query', 'value'] },
  { name: 'token-classification', folder: 'bert-tiny', targets: ['query', 'value'], classes: 5 },
  { name: 'answering', folder: 't5-tiny', targets: ['q', 'v'], task: 'causal-lm', prefix: 'transformer.' },
] as const;

test.each(cases.flatMap((c) => (['gpu', 'processor'] as const).map((place) => [c.name, place, c] as const)))(
  '%s follows PEFT, prefix by the %s',
  async (name, place: PrefixPlace, { folder, targets, ...more }) => {
    const file = await readSafetensors(
      bytesSource(await readFile(`${fixtures}/language/${name}.safetensors`)),
    );
    const {
      classes = 0,
      task: id = name,
      prefix = '',
    } = more as { classes?: number; task?: string; prefix?: string };
    const start = new Map(
      await Promise.all(
        file
          .names()
          .filter((n) => n.startsWith('start.'))
          .map(
            async (n) =>
              [
                n.replace('start.base_model.model.', prefix),
                { shape: file.info(n).shape, data: await file.f32(n) },
              ] as const,
          ),
      ),
    );
    const backbone = await openBackbone(`${fixtures}/${folder}`);
    const method = methodById('lora');
    const given = {
      r: 4,
      lora_alpha: 8,
      lora_dropout: 0,
      target_modules: [...targets],
      max_length: 12,
      batch_size: 4,
      epochs: 3,
      shuffle: false,
      schedule: 'constant',
      lr: 1e-2,
      weight_decay: 0.01,
      clip: 0,
    };
    const session = await Session.open({
      gpu: await gpu,
      files: new MemoryFiles(),
      backboneHash: backbone.hash,
      model: backbone.model,
      method,
      task: tasks.find((t) => t.id === id),
      settings: completeSettings(method, given, defaultSettings(method, backbone.model, 12)),
      dataset: await datasetOf(file, classes),
      folder: 'runs/one/checkpoints',
      start,
      prefix: place,
      onnx: openOnnx(),
      report: () => {},
    });
    const losses: number[] = [];
    await session.run(
      { wish: 'run', turns: [], now: () => 0 },
      {
        step: (point) => losses.push(point.loss),
        evaluated: () => {},
        notice: (message) => {
          throw new Error(message);
        },
      },
    );
    const expected = await file.f32('losses');
    const worst = Math.max(...losses.map((loss, i) => Math.abs(loss - expected[i]) / expected[i]));
    console.log(`${name}: loss of ${losses.length} steps against PEFT: ${worst.toExponential(1)}`);
    expect(losses.length).toBe(expected.length);
    expect(worst).toBeLessThan(1e-3);
    const all = await session.evaluate(
      Array.from({ length: 12 }, (_, i) => i),
      session.startKnobs(),
    );
    const [loss] = await file.f32('final_loss');
    expect(Math.abs(all.loss - loss) / loss).toBeLessThan(1e-3);
    expect(all.hits).toBe((await file.f32('final_right'))[0]);
    session.destroy();
  },
);

test('a method asks the frozen model about tokens, whatever the padding', async () => {
  const file = await readSafetensors(
    bytesSource(await readFile(`${fixtures}/language/causal-lm.safetensors`)),
  );
  const backbone = await openBackbone(`${fixtures}/llama-tiny`);
  const method = methodById('lora');
  const paths = ['model.layers.0.self_attn.q_proj', 'model.layers.1.mlp.down_proj'];
  const asked = [];
  for (const more of [0, 4]) {
    const settings = { max_length: 12 + more, batch_size: 4, target_modules: paths };
    const session = await Session.open({
      gpu: await gpu,
      files: new MemoryFiles(),
      backboneHash: backbone.hash,
      model: backbone.model,
      method,
      task: tasks.find((t) => t.id === 'causal-lm'),
      settings: completeSettings(method, settings, defaultSettings(method, backbone.model, 12)),
      dataset: await datasetOf(file, 0, more),
      folder: `runs/${more}/checkpoints`,
      report: () => {},
    });
    asked.push([await session.base.inputMoments(paths), await session.base.gradients(paths)]);
    session.destroy();
  }
  for (const kind of [0, 1])
    for (const path of paths) {
      const [short, long] = asked.map((found) => found[kind].get(path)!);
      const largest = Math.max(...short.map(Math.abs));
      expect(largest).toBeGreaterThan(1e-5);
      expect(Math.max(...short.map((v, i) => Math.abs(v - long[i]))) / largest).toBeLessThan(1e-5);
    }
});
