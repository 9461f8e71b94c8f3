import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dinov2 } from '../backbones/dinov2.ts';
import { vit } from '../backbones/vit.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { bytesSource, readSafetensors, writeSafetensors } from '../checkpoints/safetensors.ts';
import type { LowRankUpdate } from '../methods/method.ts';
import { type AdapterContent, AdapterError } from './adapter.ts';
import { fromOlder, generationOf, isRenamed, toOlder } from './names.ts';
import { checkKeys, toPeft } from './peft.ts';
import { fromPeft } from './peftImport.ts';

/** Values that differ from place to place and are exact in f32. */
function values(size: number, seed: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => (((i + 1) * (seed * 2 + 7)) % 31) / 8 - 1.5);
}

function update(
  path: string,
  out: number,
  inputs: number,
  r: number,
  scale = 1,
  kernel: number[] = [],
): LowRankUpdate {
  const one = kernel.map(() => 1);
  const area = kernel.reduce((a, b) => a * b, 1);
  const seed = path.length;
  return {
    path,
    a: { shape: [r, inputs, ...kernel], data: values(r * inputs * area, seed) },
    b: { shape: [out, r, ...one], data: values(out * r, seed + 3) },
    scale,
  };
}

/** scale · B A of each module, kernels flattened. */
function products({ updates }: AdapterContent): Record<string, number[]> {
  return Object.fromEntries(
    updates.map(({ path, a, b, scale }) => {
      const [out, r] = b.shape;
      const width = a.data.length / r;
      const product = Array.from({ length: out * width }, (_, i) => {
        let sum = 0;
        for (let k = 0; k < r; k++)
          sum += b.data[Math.floor(i / width) * r + k] * a.data[k * width + (i % width)];
        return sum * scale;
      });
      return [path, product];
    }),
  );
}

const head = new Map([
  ['classifier.weight', { shape: [3, 4], data: values(12, 1) }],
  ['classifier.bias', { shape: [3], data: values(3, 2) }],
]);
const open = (bytes: Uint8Array) => readSafetensors(bytesSource(bytes));
const reread = async (content: AdapterContent) => {
  const { config, weights } = toPeft(content);
  return fromPeft(config, await open(weights));
};

describe('PEFT files', () => {
  it('fold alpha into B and say so in the configuration', async () => {
    const content = { updates: [update('vit.layers.0.attention.q_proj', 4, 6, 2, 4)], saved: head };
    const { config, weights } = toPeft(content, { baseModel: 'some/base', metadata: { lora_alpha: '8' } });
    expect(config).toEqual({
      peft_type: 'LORA',
      task_type: null,
      auto_mapping: null,
      base_model_name_or_path: 'some/base',
      inference_mode: true,
      r: 2,
      lora_alpha: 2,
      target_modules: ['vit.layers.0.attention.q_proj'],
      modules_to_save: ['classifier'],
    });
    const file = await open(weights);
    expect(Object.fromEntries(file.metadata)).toEqual({ format: 'pt', lora_alpha: '8' });
    expect(file.names().sort()).toEqual([
      'base_model.model.classifier.bias',
      'base_model.model.classifier.weight',
      'base_model.model.vit.layers.0.attention.q_proj.lora_A.weight',
      'base_model.model.vit.layers.0.attention.q_proj.lora_B.weight',
    ]);
    expect(await file.f32('base_model.model.vit.layers.0.attention.q_proj.lora_B.weight')).toEqual(
      content.updates[0].b.data.map((v) => v * 4),
    );
  });

  it('carry any ranks, scales and kernels there and back', async () => {
    const module = fc.record({
      out: fc.integer({ min: 1, max: 5 }),
      inputs: fc.integer({ min: 1, max: 5 }),
      r: fc.integer({ min: 1, max: 4 }),
      scale: fc.constantFrom(0.5, 1, 2),
      kernel: fc.constantFrom<number[]>([], [1, 1], [3, 3]),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(module, { minLength: 1, maxLength: 4 }), async (modules) => {
        const updates = modules.map((m, i) =>
          update(`blocks.${i}.conv`, m.out, m.inputs, m.r, m.scale, m.kernel),
        );
        const back = await reread({ updates, saved: head });
        expect(products(back)).toEqual(products({ updates, saved: head }));
        expect(back.saved).toEqual(head);
      }),
      { numRuns: 40 },
    );
  });

  it('name ranks that differ by full, escaped paths', () => {
    const updates = [update('a.1.q', 2, 2, 4), update('a.11.q', 2, 2, 4), update('b.1.q', 2, 2, 3)];
    const { config } = toPeft({ updates, saved: new Map() });
    expect(config).toMatchObject({
      r: 4,
      lora_alpha: 4,
      rank_pattern: { 'b\\.1\\.q': 3 },
      alpha_pattern: { 'b\\.1\\.q': 3 },
    });
    expect(config).not.toHaveProperty('modules_to_save');
  });

  it('say where the base keeps weights as [in, out], and nothing of it elsewhere', () => {
    const content = { updates: [update('h.0.attn.c_attn', 12, 4, 2)], saved: head };
    expect(toPeft(content, { fanInFanOut: true }).config).toMatchObject({ fan_in_fan_out: true });
    expect(toPeft(content).config).not.toHaveProperty('fan_in_fan_out');
  });

  it('carry a head alone as a LoRA without targets', async () => {
    const { config, weights } = toPeft({ updates: [], saved: head });
    expect(config).toMatchObject({ target_modules: 'dummy-target-modules' });
    const back = await fromPeft(config, await open(weights));
    expect(back.updates).toEqual([]);
    expect([...back.saved.keys()].sort()).toEqual([...head.keys()].sort());
    expect(() => toPeft({ updates: [], saved: new Map() })).toThrow(/nothing to save/);
  });

  const one = update('x.q', 2, 2, 2);
  const file = (extra: Record<string, Float32Array> = {}) =>
    open(
      writeSafetensors([
        { name: 'base_model.model.x.q.lora_A.weight', ...one.a },
        { name: 'base_model.model.x.q.lora_B.weight', ...one.b },
        ...Object.entries(extra).map(([name, data]) => ({ name, shape: [data.length], data })),
      ]),
    );
  const read = async (config: JsonObject, extra?: Record<string, Float32Array>) =>
    fromPeft({ peft_type: 'LORA', r: 2, lora_alpha: 8, ...config }, await file(extra));

  it.each<[string, JsonObject, number]>([
    ['alpha / r', {}, 4],
    ['PEFT’s defaults', { lora_alpha: undefined }, 4],
    ['alpha / √r', { use_rslora: true }, 8 / Math.SQRT2],
    ['a pattern by suffix', { alpha_pattern: { q: 3 } }, 1.5],
    ['a pattern by expression', { alpha_pattern: { 'x\\.(q|k)': 5, q: 3 } }, 2.5],
    ['a pattern for another module', { alpha_pattern: { 'y.q': 3, 'xx.q': 9 } }, 4],
    ['a rank of its own', { r: 16, rank_pattern: { '^x\\.q$': 2 } }, 4],
  ])('are read with %s', async (_, config, scale) => {
    expect((await read(config)).updates[0].scale).toBeCloseTo(scale, 12);
  });

  it.each<[JsonObject, RegExp, Record<string, Float32Array>?]>([
    [{ peft_type: 'IA3' }, /of type IA3; only LORA is read/],
    [{ peft_type: undefined }, /without a peft_type/],
    [{ use_dora: true }, /sets use_dora/],
    [{ bias: 'all' }, /trains biases/],
    [{ init_lora_weights: 'pissa_niter_16' }, /"pissa_niter_16", which changes the base/],
    [{ r: 4 }, /gives x.q rank 4, but its tensors have rank 2/],
    [{ lora_alpha: 'many' }, /no number/],
    [{ alpha_pattern: { '(a+)+': 1 } }, /too intricate/],
    [{ alpha_pattern: { '(?P<a>': 1 } }, /no regular expression/],
    [{}, /kind of LoRA tensor/, { 'base_model.model.x.e.lora_embedding_A': Float32Array.of(1) }],
    [{}, /has lora_A but not lora_B for x.k/, { 'base_model.model.x.k.lora_A.weight': Float32Array.of(1) }],
  ])('are refused with %j', async (config, message, extra) => {
    await expect(read(config, extra)).rejects.toThrow(message);
    await expect(read(config, extra)).rejects.toBeInstanceOf(AdapterError);
  });

  it('must name modules that the model has', () => {
    const keys = [
      'base_model.model.vit.encoder.layer.0.attention.attention.query.lora_A.weight',
      'base_model.model.classifier.bias',
    ];
    expect(() =>
      checkKeys(keys, ['classifier', 'vit.encoder.layer.0.attention.attention.query']),
    ).not.toThrow();
    expect(() => checkKeys(keys, ['classifier', 'vit.layers.0.attention.q_proj'])).toThrow(
      /does not have: vit.encoder.layer.0.attention.attention.query. The backbone's are named like classifier/,
    );
  });
});

describe('names of transformers 4', () => {
  const paths = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `vit.layers.1.attention.${name}`);
  const vitPaths = [...paths, 'vit.layers.1.mlp.fc1', 'vit.layers.1.mlp.fc2', 'classifier'];

  it('are ViT’s own, both ways', () => {
    expect(vitPaths.map((path) => vit.diskName(path))).toEqual([
      'vit.encoder.layer.1.attention.attention.query',
      'vit.encoder.layer.1.attention.attention.key',
      'vit.encoder.layer.1.attention.attention.value',
      'vit.encoder.layer.1.attention.output.dense',
      'vit.encoder.layer.1.intermediate.dense',
      'vit.encoder.layer.1.output.dense',
      'classifier',
    ]);
    const content = { updates: vitPaths.slice(0, 6).map((path) => update(path, 3, 2, 2)), saved: head };
    const older = toOlder(content, vit);
    expect(fromOlder(older, vitPaths, vit)).toEqual(content);
    expect(isRenamed(vitPaths, vit)).toBe(true);
    expect(isRenamed(['classifier'], vit)).toBe(false);
    const adapted = (c: AdapterContent) => c.updates.map((u) => u.path);
    expect(generationOf(adapted(content), vitPaths, vit)).toBe('current');
    expect(generationOf(adapted(older), vitPaths, vit)).toBe('older');
    expect(generationOf(['bert.q'], vitPaths, vit)).toBeUndefined();
    expect(() => fromOlder({ updates: [update('bert.q', 1, 1, 1)], saved: head }, vitPaths, vit)).toThrow(
      /never had under any name/,
    );
  });

  it('join DINOv2’s gate and up projections into one module with the same product', () => {
    const mlp = 'dinov2.encoder.layer.0.mlp';
    const gate = update(`${mlp}.gate_proj`, 3, 4, 2, 2);
    const up = update(`${mlp}.up_proj`, 3, 4, 1, 0.5);
    const down = update(`${mlp}.down_proj`, 4, 3, 1);
    const content = { updates: [up, gate, down], saved: head };
    const older = toOlder(content, dinov2);
    const joined = products(older);
    const apart = products(content);
    expect(Object.keys(joined).sort()).toEqual([`${mlp}.weights_in`, `${mlp}.weights_out`]);
    expect(joined[`${mlp}.weights_in`]).toEqual([...apart[gate.path], ...apart[up.path]]);
    const today = [gate.path, up.path, down.path, 'classifier'];
    expect(products(fromOlder(older, today, dinov2))).toEqual(apart);
    const lone = products(toOlder({ updates: [up], saved: head }, dinov2));
    expect(lone[`${mlp}.weights_in`]).toEqual([...new Array(12).fill(0), ...apart[up.path]]);
  });
});

const fixture = join(import.meta.dirname, '../../tools/reference/fixtures/peft-vit-lora/final');
describe.skipIf(!existsSync(fixture))('an adapter that PEFT saved', () => {
  it('is read with its alpha, and means the same when written again', async () => {
    const config = JSON.parse(readFileSync(join(fixture, 'adapter_config.json'), 'utf8'));
    const content = await fromPeft(
      config,
      await open(new Uint8Array(readFileSync(join(fixture, 'adapter_model.safetensors')))),
    );
    expect(new Set(content.updates.map((u) => u.scale))).toEqual(new Set([2]));
    expect([...content.saved.keys()].sort()).toEqual(['classifier.bias', 'classifier.weight']);
    // A scale of two folds without rounding.
    expect(products(await reread(content))).toEqual(products(content));
  });
});
