import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { bytesSource } from '../checkpoints/safetensors.ts';
import { bytesEntry } from '../data/entry.ts';
import { readZip } from '../data/zip.ts';
import { buildAdapterZip, readAdapter } from './adapterZip.ts';
import { type CardInfo, modelCard } from './card.ts';
import { escapeFormula, predictionsCsv } from './csv.ts';
import { type LoadInfo, loaderScript } from './loading.ts';
import { toPeft } from './peft.ts';

const factor = (shape: number[]) => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
});
const adapter = toPeft({
  updates: [{ path: 'x.q', a: factor([2, 3]), b: factor([4, 2]), scale: 1 }],
  saved: new Map(),
});
const load: LoadInfo = {
  library: 'transformers',
  baseTitle: 'ViT-Tiny',
  model: 'ViTForImageClassification',
  hubId: 'some/vit',
  withBase: false,
  classes: 2,
  reads: 'image',
  task: 'classification',
  size: 64,
  interpolatePositions: true,
  renamed: true,
  byPeft: true,
};
const info: CardInfo = {
  title: 'Cats or dogs',
  method: { id: 'lora', title: 'LoRA', settings: { r: 8, target_modules: ['q_proj', 'v_proj'] } },
  load,
  baseLicence: 'Apache-2.0',
  data: {
    name: 'my <pets>\n# x',
    classes: ['cat', 'dog|s'],
    counts: { train: 60, val: 20, test: 20 },
    split: 'by folders',
  },
  seed: 1,
  training: { lr: 1e-3, schedule: 'cosine' },
  trainableParameters: 12345,
  curve: { steps: 100, firstLoss: 0.7, lastLoss: 0.12345678, bestStep: 80, seconds: 61.4 },
  scores: {
    test: { accuracy: 0.95, low: 0.9, high: 0.98, n: 20 },
    probe: { accuracy: 0.8, low: 0.7, high: 0.9, n: 20 },
  },
  versions: { Graft: '0.1.0' },
};
const parts = {
  adapter,
  older: adapter,
  card: modelCard(info),
  preprocessor: { size: 64 },
  labels: ['cat', 'dog'],
  run: { seed: 1 },
};
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe('the adapter zip', () => {
  it('is the same bytes for the same parts, and is read back whole', async () => {
    const base = {
      files: new Map([
        ['model.safetensors', adapter.weights],
        ['config.json', json({})],
      ]),
      loader: loaderScript(load),
    };
    const zip = buildAdapterZip({ ...parts, base });
    expect(buildAdapterZip({ ...parts, base })).toEqual(zip);
    const { entries, refused } = await readZip(bytesSource(zip), 'adapter.zip');
    expect(refused).toEqual([]);
    expect(entries.map((entry) => entry.path)).toEqual([
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'preprocessor_config.json',
      'labels.json',
      'run.json',
      'transformers-4/adapter_config.json',
      'transformers-4/adapter_model.safetensors',
      'load.py',
      'base/model.safetensors',
      'base/config.json',
    ]);
    const found = await readAdapter(entries);
    expect(found.peft?.config).toEqual(adapter.config);
    expect(found.peft?.checkpoint.names()).toHaveLength(2);
    expect(found).toMatchObject({
      preprocessor: { size: 64 },
      labels: ['cat', 'dog'],
      run: { seed: 1 },
      card: parts.card,
    });
    expect([...found.base.keys()]).toEqual(['model.safetensors', 'config.json']);
    const model = found.base.get('model.safetensors')!;
    expect(await model.read(0, model.size)).toEqual(adapter.weights);
  });

  it('opens what PEFT alone saved, in a folder, without what only we write', async () => {
    const found = await readAdapter([
      bytesEntry('run/checkpoint-9/adapter_config.json', json({})),
      bytesEntry('run/adapter_config.json', json({ peft_type: 'LORA' })),
      bytesEntry('run/adapter_model.safetensors', adapter.weights),
      bytesEntry('run/labels.json', json({ 0: 'cat', 1: 'dog' })),
    ]);
    expect(found.peft?.config).toEqual({ peft_type: 'LORA' });
    expect([found.labels, found.run, found.preprocessor, found.base.size]).toEqual([
      ['cat', 'dog'],
      undefined,
      undefined,
      0,
    ]);
  });

  it.each<[string, ReturnType<typeof bytesEntry>[], RegExp]>([
    ['nothing of PEFT’s', [bytesEntry('a.txt', json(1))], /neither adapter_config.json/],
    [
      'no weights',
      [bytesEntry('adapter_config.json', json({}))],
      /not beside adapter_config.json; choose the whole/,
    ],
    [
      'pickled weights',
      [bytesEntry('adapter_config.json', json({})), bytesEntry('adapter_model.bin', json(1))],
      /adapter_model.bin: its pickle|adapter_model.bin: it/,
    ],
    [
      'broken JSON',
      [
        bytesEntry('adapter_config.json', Uint8Array.of(0x7b)),
        bytesEntry('adapter_model.safetensors', adapter.weights),
      ],
      /not valid JSON/,
    ],
  ])('says what is wrong with %s', async (_, entries, message) => {
    await expect(readAdapter(entries)).rejects.toThrow(message);
  });
});

describe('the model card', () => {
  it('begins with metadata that hubs read', () => {
    const [, yaml] = modelCard(info).split('---\n');
    expect(parse(yaml)).toMatchObject({
      library_name: 'peft',
      base_model: 'some/vit',
      license: 'apache-2.0',
      pipeline_tag: 'image-classification',
      tags: ['base_model:adapter:some/vit', 'lora', 'transformers'],
      metrics: ['accuracy'],
      'model-index': [{ results: [{ metrics: [{ type: 'accuracy', value: 0.95 }] }] }],
    });
  });

  it('tells the scores with their interval, the split, the settings and the loading lines, and no name becomes markup', () => {
    const card = modelCard(info);
    expect(card).toContain('| Test | 95.0 % | 90.0 % to 98.0 % | 20 |');
    expect(card).toContain('my \\<pets\\> \\# x');
    expect(card).toContain('cat, dog\\|s');
    expect(card).toContain('| target\\_modules | `q_proj`, `v_proj` |');
    expect(card).toContain('100 steps, 61 s; the loss went from 0.7 to 0.1235.');
    expect(card).toContain('ViTForImageClassification.from_pretrained("some/vit", num_labels=2');
    expect(card).toContain('subfolder="transformers-4"');
    expect(card).toContain('"interpolate_pos_encoding": True');
    const nothing = modelCard({ ...info, scores: {}, load: { ...load, hubId: undefined } });
    expect(nothing).toContain('No picture was kept back');
    expect(nothing).toContain('The base is on no hub');
    expect(nothing).not.toContain('base_model:');
  });

  it('loads a timm base through timm', () => {
    const timm: LoadInfo = {
      ...load,
      library: 'timm',
      model: 'tf_efficientnet_lite0',
      withBase: true,
      renamed: false,
      interpolatePositions: false,
    };
    expect(modelCard({ ...info, load: timm })).toContain(
      'timm.create_model(f"local-dir:{folder}/base", pretrained=True, num_classes=2)',
    );
    expect(loaderScript(timm)).not.toContain('transformers-4');
  });
});

describe('the card of a base that reads text', () => {
  const reads: LoadInfo = {
    ...load,
    reads: 'text',
    size: 32,
    model: 'BertForSequenceClassification',
    interpolatePositions: false,
    renamed: false,
  };

  it('loads its tokenizer and says what it does', () => {
    const card = modelCard({ ...info, load: reads });
    expect(card).toContain('from transformers import AutoTokenizer, BertForSequenceClassification');
    expect(card).toContain('processor("A text.", truncation=True, max_length=32, return_tensors="pt")');
    expect(card).toContain('pipeline_tag: text-classification');
    expect(card).not.toMatch(/picture|PIL/i);
  });

  it('of a language model has no labels', () => {
    const card = modelCard({ ...info, load: { ...reads, task: 'causal-lm', model: 'LlamaForCausalLM' } });
    expect(card).toContain('LlamaForCausalLM.from_pretrained("some/vit").float()');
    expect(card).toContain('model.generate(**inputs');
    expect(card).not.toContain('labels.json")');
  });
});

describe('predictions as CSV', () => {
  it('keep full precision, quote and escape formulas in text only', () => {
    const csv = predictionsCsv(
      ['=cat', 'a,b'],
      [{ file: '-x.png', label: '@a', logits: Float32Array.of(-1.1, 0.1) }],
    );
    expect(csv).toBe("file,label,'=cat,\"a,b\"\n'-x.png,'@a,-1.100000023841858,0.10000000149011612\n");
    expect(['+1', '\t', 'a=1', ''].map(escapeFormula)).toEqual(["'+1", "'\t", 'a=1', '']);
  });
});
