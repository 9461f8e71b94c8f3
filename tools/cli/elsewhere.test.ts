import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytesSource, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import { readZip } from '../../models/data/zip.ts';
import { parse } from './args.ts';
import { trainCommand } from './train.ts';

const fixtures = 'tools/reference/fixtures';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-elsewhere-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(...more: string[]): Promise<Map<string, Uint8Array>> {
  const out = join(folder, 'run.zip');
  const settings = ['--batch', '8', '--steps', '6', '--lr', '0.01', '--schedule', 'linear', '--set', 'r=2'];
  await trainCommand(
    parse([
      'train',
      ...['--backbone', `${fixtures}/vit-tiny`, '--data', `${fixtures}/peft-vit-lora/images`],
      ...['--elsewhere', out, '--cache', join(folder, 'cache')],
      ...settings,
      ...more,
    ]),
  );
  const { entries } = await readZip(bytesSource(new Uint8Array(await readFile(out))), out);
  return new Map(await Promise.all(entries.map(async (e) => [e.path, await e.bytes()] as const)));
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const lines = (bytes: Uint8Array | undefined) =>
  text(bytes)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('a run elsewhere brings every step, every hash, and the adapter as it starts', async () => {
  const files = await written('--set', 'lora_alpha=8', '--with-base');
  for (const name of ['train.py', 'train_ray.py', 'requirements.txt', 'README.md', 'base/model.safetensors'])
    expect(files.get(name)?.length, name).toBeGreaterThan(0);
  const steps = lines(files.get('steps.jsonl'));
  expect(steps.map((s) => s.samples.length)).toEqual([8, 8, 8, 8, 8, 8]);
  // Forty samples in steps of eight: the first five steps see each once.
  expect(new Set(steps.slice(0, 5).flatMap((s) => s.samples)).size).toBe(40);
  expect(steps[0].lr).toBeCloseTo(0.01, 12);
  expect(steps[3].lr).toBeCloseTo(0.005, 12);
  const data = lines(files.get('data.jsonl'));
  expect(data.length).toBe(40);
  expect(data.every((row) => /^[0-9a-f]{64}$/.test(row.sha256))).toBe(true);
  const config = JSON.parse(text(files.get('start/adapter_config.json')));
  expect([config.r, config.lora_alpha]).toEqual([2, 8]);
  const start = await readSafetensors(bytesSource(files.get('start/adapter_model.safetensors')!));
  const values = await Promise.all(start.names().map(async (n) => [n, await start.f32(n)] as const));
  for (const [name, value] of values)
    expect(
      value.some((v) => v !== 0),
      name,
    ).toBe(name.endsWith('lora_A.weight'));
  const run = JSON.parse(text(files.get('run.json')));
  expect(run).toMatchObject({
    library: 'transformers',
    class: 'ViTForImageClassification',
    data: 'pictures',
  });
});

test('says what cannot be repeated there', async () => {
  await expect(written('--method', 'galore')).rejects.toThrow(/GaLore is trained here in a way/);
  await expect(written('--set', 'augment=2')).rejects.toThrow(/Set augmentation views to 0/);
});
