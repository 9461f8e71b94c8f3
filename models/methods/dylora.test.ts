import { beforeAll, expect, test } from 'vitest';
import { gradients, sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { trainablesOf } from '../../gpu-shaders/train/step.ts';
import { Bench, evaluate, modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import { traceClassification, trainedParameters } from '../tasks/index.ts';
import { dylora } from './dylora.ts';
import { lora } from './lora.ts';

const CLASSES = 3;
const R = 4;
const PATH = 'vit.layers.1.mlp.fc1';
const shape = { classes: CLASSES, batch: 2, size: 32, labelSmoothing: 0 };
const base: Settings = {
  r: R,
  rank: R,
  mode: 'frozen',
  distribution: 'uniform',
  lora_alpha: 6,
  lora_dropout: 0,
  target_modules: [PATH],
};

let model: Model;
let tensors: Map<string, Float32Array>;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
  const declared = trainedParameters(model, dylora.attach(model, base), CLASSES);
  tensors = new Map(declared.map((p, i) => [p.name, noise(sizeOf(p.shape), i + 2)]));
});

const inputs = (rank: number) => ({
  pixels: noise(2 * 3 * 32 * 32, 1),
  labels: Uint32Array.of(2, 0),
  weights: Float32Array.of(0.5, 0.5),
  random: Uint32Array.of(1, 2),
  'knob:rank': Float32Array.of(rank),
  'draw:rank': Float32Array.of(rank),
});

test.each([
  ['frozen', (row: number, rank: number) => row === rank - 1],
  ['nested', (row: number, rank: number) => row < rank],
])('in %s mode only the rows that learn have a gradient', async (mode, learns) => {
  const { loss } = traceClassification(model, dylora.attach(model, { ...base, mode }), {
    ...shape,
    training: true,
  });
  const leaves = trainablesOf([loss]);
  const found = gradients(loss, [...leaves.values()]);
  const bench = await Bench.of(model, { loss }, new Map([...leaves.keys()].map((n, i) => [n, found[i]])));
  for (const rank of [1, 3]) {
    const run = await bench.run(inputs(rank), tensors);
    const a = run.gradients.get(`${PATH}.lora_A.weight`)!;
    const b = run.gradients.get(`${PATH}.lora_B.weight`)!;
    const rows = Array.from({ length: R }, (_, row) => row);
    const width = a.length / R;
    const inA = rows.map((row) => a.subarray(row * width, (row + 1) * width).some((x) => x !== 0));
    const inB = rows.map((row) => b.some((x, i) => i % R === row && x !== 0));
    const expected = rows.map((row) => learns(row, rank));
    expect([inA, inB]).toEqual([expected, expected]);
  }
  bench.destroy();
});

test('in evaluation each rank is the LoRA of its first rows with alpha / rank, in one program', async () => {
  const attachment = dylora.attach(model, base);
  const { logits } = traceClassification(model, attachment, { ...shape, training: false });
  const bench = await Bench.of(model, { logits });
  const all = new Map(
    attachment.parameters.map((p) => [p.name, { shape: p.shape, data: tensors.get(p.name)! }]),
  );
  for (const rank of [1, 2, R]) {
    const { values } = await bench.run(inputs(rank), tensors);
    const from = lora.fromLowRank!(dylora.toLowRank!(attachment, { ...base, rank }, all));
    expect(from.settings).toMatchObject({ r: rank, lora_alpha: 6 });
    const plain = lora.attach(model, from.settings);
    const cut = new Map([...tensors, ...[...from.tensors].map(([n, t]) => [n, t.data] as const)]);
    const expected = await evaluate(
      model,
      { logits: traceClassification(model, plain, { ...shape, training: false }).logits },
      { ...inputs(rank), 'knob:scale': Float32Array.of(1) },
      cut,
    );
    close(values.logits, expected.logits, 1e-5, `rank ${rank}`);
  }
  bench.destroy();
});

test('draws every rank, evenly or the low ones more often', () => {
  const share = (distribution: string) => {
    const { draws } = dylora.attach(model, { ...base, distribution });
    const counts = new Float64Array(R);
    for (let i = 0; i < 10_000; i++) counts[draws![0].at(i, () => (i + 0.5) / 10_000)[0] - 1]++;
    return [...counts].map((n) => n / 10_000);
  };
  close(share('uniform'), [0.25, 0.25, 0.25, 0.25], 1e-6);
  const geometric = share('geometric');
  close(
    geometric.slice(1).map((x, i) => x / geometric[i]),
    [0.85, 0.85, 0.85],
    1e-3,
  );
});
