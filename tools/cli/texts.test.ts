import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Papa from 'papaparse';
import { expect, test } from 'vitest';
import { bytesSource, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import { methodById } from '../../models/methods/index.ts';
import { readAdapter } from '../../workers/session/readAdapter.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { MemoryFiles } from '../../workers/storage/memory.ts';
import { openOnnx } from '../onnx/node.ts';
import { parse } from './args.ts';
import { openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';
import { tokenizerIn } from './language.ts';
import { predictCommand } from './predict.ts';
import { entriesOf } from './samples.ts';
import { FileTexts } from './texts.ts';
import { trainCommand } from './train.ts';

const fixtures = 'tools/reference/fixtures';
const backbone = `${fixtures}/bert-words-tiny`;
const folder = `${fixtures}/peft-bert-lora`;
const data = `${folder}/texts.csv`;
const work = mkdtempSync(join(tmpdir(), 'graft-texts-'));
const out = (name: string) => join(work, name);
const cache = out('cache');
const expected = readSafetensors(bytesSource(readFileSync(`${folder}/expected.safetensors`)));
const graft = (command: string, ...rest: string[]) =>
  parse([command, '--cache', cache, '--backbone', backbone, ...rest]);

/** Largest difference over the largest expected magnitude. */
function off(found: readonly number[], wanted: ArrayLike<number>): number {
  expect(found.length).toBe(wanted.length);
  const scale = Math.max(...Array.from(wanted, Math.abs));
  return Math.max(...found.map((x, i) => Math.abs(x - wanted[i]) / scale));
}

function readCsv(path: string): { header: string[]; rows: string[][]; numbers: number[] } {
  const [header, ...rows] = Papa.parse<string[]>(readFileSync(path, 'utf8'), { skipEmptyLines: true }).data;
  const from = header[1] === 'label' ? 2 : 1;
  return { header, rows, numbers: rows.flatMap((row) => row.slice(from).map(Number)) };
}

test('20 LoRA steps on a table of texts follow PEFT', async () => {
  const opened = await openBackbone(backbone);
  const { model } = opened;
  const dataset = await FileTexts.open(
    data,
    {},
    { val: 0, test: 0, seed: 1, fromFolders: true },
    { tokenizer: await tokenizerIn(backbone), model },
  );
  const wanted = await expected;
  const values = await dataset.load([...dataset.samples.keys()], 16);
  expect(values.flatMap((v) => [...v.ids])).toEqual([
    ...new Int32Array(Uint8Array.from(await wanted.bytes('input_ids')).buffer),
  ]);
  const init = await readAdapter(await entriesOf(`${folder}/init`), model);
  const method = methodById('lora');
  const given = {
    ...init.settings,
    batch_size: 8,
    epochs: 4,
    shuffle: false,
    schedule: 'constant',
    lr: 1e-3,
  };
  const session = await Session.open({
    gpu: await openGpu(),
    files: new MemoryFiles(),
    backboneHash: opened.hash,
    model,
    method,
    settings: completeSettings(
      method,
      { ...given, weight_decay: 0.01, clip: 0, max_length: 16, lora_dropout: 0 },
      defaultSettings(method, model, 40),
    ),
    dataset,
    folder: 'runs/one',
    start: init.tensors,
    onnx: openOnnx(),
    report: () => {},
  });
  const { progress } = await session.run(
    { wish: 'run', turns: [], now: () => 0 },
    { step: () => {}, evaluated: () => {}, notice: () => {} },
  );
  const losses = off(
    progress.steps.map((p) => p.loss),
    await wanted.f32('losses'),
  );
  const norms = off(
    progress.steps.map((p) => p.gradNorm),
    await wanted.f32('grad_norms'),
  );
  const logits = await session.logits([...dataset.samples.keys()], session.startKnobs());
  const last = off(
    logits.flatMap((l) => [...l]),
    await wanted.f32('final_logits'),
  );
  console.log(
    `20 steps against PEFT: loss ${losses.toExponential(1)}, norm ${norms.toExponential(1)}, logits ${last.toExponential(1)}`,
  );
  expect(Math.max(losses, norms, last)).toBeLessThan(1e-3);
  session.destroy();
});

test('a head in the checkpoint predicts without an adapter, under the names of config.json', async () => {
  await predictCommand(graft('predict', '--data', data, '--max-length', '16', '--out', out('own.csv')));
  const { header, rows, numbers } = readCsv(out('own.csv'));
  expect(header).toEqual(['file', 'label', 'animals', 'kitchen', 'weather']);
  expect(rows).toHaveLength(40);
  expect(rows[0][0]).toBe('texts.csv line 2');
  expect(off(numbers, await (await expected).f32('own_logits'))).toBeLessThan(1e-4);
});

test('pictures are predicted by a checkpoint with a head too', async () => {
  const vit = `${fixtures}/vit-tiny`;
  const images = `${fixtures}/peft-vit-lora/images`;
  await predictCommand(
    parse(['predict', '--cache', cache, '--backbone', vit, '--data', images, '--out', out('vit.csv')]),
  );
  const { header, rows } = readCsv(out('vit.csv'));
  const names = Object.values(JSON.parse(readFileSync(`${vit}/config.json`, 'utf8')).id2label);
  expect(header.slice(2)).toEqual(names);
  expect(rows).toHaveLength(40);
});

test('embeddings are the mean over tokens where the folder says so', async () => {
  const sentence = out('sentence-model');
  cpSync(backbone, sentence, { recursive: true });
  mkdirSync(join(sentence, '1_Pooling'));
  writeFileSync(join(sentence, '1_Pooling', 'config.json'), '{"pooling_mode_mean_tokens": true}');
  const args = ['--data', data, '--max-length', '16', '--output', 'embeddings', '--out', out('mean.csv')];
  await predictCommand(parse(['predict', '--backbone', sentence, ...args]));
  const { header, numbers } = readCsv(out('mean.csv'));
  expect(header).toHaveLength(33);
  expect(off(numbers, await (await expected).f32('mean'))).toBeLessThan(1e-4);
});

test('train writes an adapter with its tokenizer; predict reads it with the length it was trained at', async () => {
  await trainCommand(
    graft(
      'train',
      '--data',
      data,
      '--text-column',
      'text',
      '--label-column',
      'label',
      '--steps',
      '2',
      '--val',
      '0.2',
      '--out',
      out('a.zip'),
    ),
  );
  await predictCommand(graft('predict', '--data', data, '--adapter', out('a.zip'), '--out', out('a.csv')));
  expect(readCsv(out('a.csv')).rows).toHaveLength(40);
  const entries = await entriesOf(out('a.zip'));
  const names = entries.map((e) => e.path);
  expect(names).toEqual(
    expect.arrayContaining(['tokenizer.json', 'tokenizer_config.json', 'adapter_config.json']),
  );
  expect(names).not.toContain('preprocessor_config.json');
  const json = async (name: string) =>
    JSON.parse(new TextDecoder().decode(await entries.find((e) => e.path === name)!.bytes()));
  expect((await json('run.json')).settings.max_length).toBe(32);
  expect((await json('adapter_config.json')).auto_mapping.base_model_class).toBe(
    'BertForSequenceClassification',
  );
});

test('says what is wrong with columns and outputs', async () => {
  const predict = (...rest: string[]) => predictCommand(graft('predict', '--out', out('x.csv'), ...rest));
  await expect(predict('--data', data, '--text-column', 'words')).rejects.toThrow(
    /no column “words”.*text, label/,
  );
  await expect(predict('--data', data, '--output', 'logits')).rejects.toThrow(/labels or embeddings/);
  writeFileSync(out('lines.txt'), 'one\ntwo\n');
  await expect(
    trainCommand(graft('train', '--data', out('lines.txt'), '--out', out('y.zip'))),
  ).rejects.toThrow(/No text.*has a label/);
});
