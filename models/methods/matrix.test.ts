import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { constant, gradients, input, parameter, sizeOf, type Tensor } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { trainablesOf } from '../../gpu-shaders/train/step.ts';
import { Bench, evaluate, modelIn, type Values } from '../backbones/testing.ts';
import { bytesSource, readSafetensors } from '../checkpoints/safetensors.ts';
import type { Settings } from '../describe.ts';
import { fromNative, toNative } from '../exports/native.ts';
import type { Model } from '../model.ts';
import { attachmentScopes, headOf, traceClassification, trainedParameters } from '../tasks/index.ts';
import { adalora } from './adalora.ts';
import { adaptformer } from './adaptformer.ts';
import { bitfit } from './bitfit.ts';
import { corda } from './corda.ts';
import { dora } from './dora.ts';
import { dylora } from './dylora.ts';
import { galore } from './galore.ts';
import { ia3 } from './ia3.ts';
import { linearProbe } from './linearProbe.ts';
import { lnTuning } from './lnTuning.ts';
import { loha } from './loha.ts';
import { lokr } from './lokr.ts';
import { lora } from './lora.ts';
import { lowPrecision, lowPrecisionAdaptformer } from './lowPrecision.ts';
import { ltSft } from './ltSft.ts';
import { addProduct, mergedWeights } from './merge.ts';
import type { AddedParameter, Attachment, Base, Method, Tensors } from './method.ts';
import { mosa } from './mosa.ts';
import { oft } from './oft.ts';
import { pAdapter } from './pAdapter.ts';
import { paca } from './paca.ts';
import { pissa } from './pissa.ts';
import { prefixTuning } from './prefixTuning.ts';
import { promptTuning } from './promptTuning.ts';
import { shira } from './shira.ts';
import { soka } from './soka.ts';
import { startValue } from './start.ts';
import { vera } from './vera.ts';
import { vlAdapter } from './vlAdapter.ts';

/** A method in the matrix: its settings but for the targets, and where it departs from the others. */
interface Row {
  method: Method;
  settings: Settings;
  /** Largest difference of the logits at the start, relative; 0, to the bit, where it is left out. */
  start?: number;
  /** False where training follows another direction than the slope, as with rounded weights. */
  slope?: boolean;
  /** Backbones it fits; all three by default. */
  fits?: (folder: string) => boolean;
}

const onVit = (folder: string) => folder.endsWith('vit-tiny');
const onTransformer = (folder: string) => !folder.includes('efficientnet');

const methods: Row[] = [
  { method: lora, settings: { r: 3, lora_alpha: 6, scale: 1, lora_dropout: 0 } },
  {
    method: lora,
    settings: { r: 3, lora_alpha: 6, use_rslora: true, scale: 0.5, lora_dropout: 0 },
    fits: onVit,
  },
  { method: linearProbe, settings: {} },
  {
    method: dora,
    settings: { r: 3, lora_alpha: 6, use_rslora: true, scale: 0.75, lora_dropout: 0 },
    start: 1e-5,
    // The norm is a constant to the gradient.
    slope: false,
  },
  { method: pissa, settings: { r: 3, lora_alpha: 6, use_rslora: false, scale: 1, lora_dropout: 0 } },
  {
    method: corda,
    settings: { mode: 'ipm', r: 3, lora_alpha: 3, use_rslora: false, scale: 1, lora_dropout: 0 },
    fits: onVit,
  },
  {
    method: corda,
    settings: { mode: 'kpm', r: 2, lora_alpha: 2, use_rslora: true, scale: 0.5, lora_dropout: 0 },
  },
  {
    method: soka,
    settings: { r: 4, rule: 'energy', energy: 0.5, side: 0, scale: 0.5, lora_dropout: 0 },
  },
  { method: vera, settings: { r: 8, d_initial: 0.5, rate: 10, scale: 0.5, vera_dropout: 0 } },
  {
    method: adalora,
    settings: {
      init_r: 3,
      target_r: 2,
      lora_alpha: 6,
      tinit: 0.1,
      tfinal: 0.3,
      deltaT: 1,
      beta1: 0.85,
      beta2: 0.85,
      orth_reg_weight: 0.5,
      scale: 0.5,
      lora_dropout: 0,
    },
  },
  {
    method: dylora,
    settings: { r: 3, rank: 2, mode: 'nested', distribution: 'uniform', lora_alpha: 6, lora_dropout: 0 },
  },
  {
    method: dylora,
    settings: { r: 3, rank: 9, mode: 'frozen', distribution: 'geometric', lora_alpha: 6, lora_dropout: 0 },
    fits: onVit,
  },
  {
    method: adaptformer,
    settings: { bottleneck: 4, scale: 0.5, placement: 'parallel', last_blocks: 0, adapter_dropout: 0 },
  },
  {
    method: adaptformer,
    settings: { bottleneck: 4, scale: 0.5, placement: 'sequential', last_blocks: 1, adapter_dropout: 0 },
    fits: onVit,
  },
  {
    method: mosa,
    settings: {
      bottleneck: 4,
      experts: 4,
      strategy: 'split',
      consistency: 0,
      scale: 0.5,
      last_blocks: 0,
      adapter_dropout: 0,
    },
  },
  // What is drawn together learns nothing through its target, so the gradient is not the slope.
  {
    method: mosa,
    settings: {
      bottleneck: 4,
      experts: 3,
      strategy: 'hierarchical',
      consistency: 1,
      scale: 0.5,
      last_blocks: 0,
      adapter_dropout: 0,
    },
    slope: false,
    fits: onVit,
  },
  {
    method: pAdapter,
    settings: {
      reduction: 4,
      p: 1.5,
      mu: 0.1,
      learn: true,
      as_released: false,
      mlp_adapter: true,
      last_blocks: 0,
    },
    fits: (folder) => !folder.includes('efficientnet'),
  },
  {
    method: pAdapter,
    settings: {
      reduction: 4,
      p: 2.5,
      mu: 0.1,
      learn: false,
      as_released: true,
      mlp_adapter: false,
      last_blocks: 1,
    },
    fits: onVit,
  },
  {
    method: vlAdapter,
    settings: {
      form: 'adapter',
      sharing: 'half-down',
      tasks: 2,
      task: 0,
      reduction: 8,
      kronecker: 4,
      embedding: 4,
      last_blocks: 0,
    },
  },
  {
    method: vlAdapter,
    settings: {
      form: 'compacter',
      sharing: 'multiple',
      tasks: 3,
      task: 2,
      reduction: 8,
      kronecker: 4,
      embedding: 4,
      last_blocks: 0,
    },
    fits: onVit,
  },
  {
    method: vlAdapter,
    settings: {
      form: 'hyperformer',
      sharing: 'half-up',
      tasks: 2,
      task: 1,
      reduction: 8,
      kronecker: 4,
      embedding: 4,
      last_blocks: 0,
    },
  },
  { method: ia3, settings: { feedforward_modules: [], scale: 0.5 } },
  { method: ia3, settings: { feedforward_modules: ['k_proj', 'fc1'], scale: 1 }, fits: onVit },
  { method: loha, settings: { r: 3, alpha: 6, scale: 0.5, rank_dropout: 0 } },
  {
    method: lokr,
    settings: {
      r: 3,
      alpha: 6,
      decompose_factor: -1,
      decompose_both: false,
      scale: 0.5,
      rank_dropout: 0,
    },
  },
  {
    method: lokr,
    settings: { r: 1, alpha: 2, decompose_factor: 8, decompose_both: true, scale: 1, rank_dropout: 0 },
    fits: onVit,
  },
  {
    method: oft,
    settings: {
      oft_block_size: 6,
      block_share: false,
      use_cayley_neumann: true,
      num_cayley_neumann_terms: 5,
      scale: 0.5,
    },
  },
  {
    method: oft,
    settings: {
      oft_block_size: 8,
      block_share: true,
      use_cayley_neumann: false,
      num_cayley_neumann_terms: 5,
      scale: 1,
    },
    fits: onVit,
  },
  { method: bitfit, settings: { which: 'all', last_blocks: 0, scale: 0.5 } },
  { method: bitfit, settings: { which: 'norms', last_blocks: 1, scale: 1 }, fits: onVit },
  { method: lnTuning, settings: { last_blocks: 0, scale: 0.5 }, fits: onTransformer },
  { method: lnTuning, settings: { last_blocks: 1, scale: 1 }, fits: onVit },
  // Learnt tokens are seen from the start.
  { method: promptTuning, settings: { num_virtual_tokens: 3 }, start: 2, fits: onTransformer },
  {
    method: prefixTuning,
    settings: { num_virtual_tokens: 3, last_blocks: 0 },
    start: 2,
    fits: onTransformer,
  },
  { method: shira, settings: { density: 5, mask: 'snip', r: 0, rate: 3, scale: 0.5 } },
  { method: shira, settings: { density: 2, mask: 'structured', r: 2, rate: 1, scale: 1 }, fits: onVit },
  { method: paca, settings: { r: 3, lora_alpha: 6, selection: 'random', scale: 0.5 } },
  { method: paca, settings: { r: 4, lora_alpha: 4, selection: 'gradient', scale: 1 }, fits: onVit },
  {
    method: ltSft,
    settings: { density: 8, first_phase: 0.25, selection: 'moved', rate: 1, l1: 0, scale: 0.5 },
  },
  {
    method: galore,
    settings: { r: 3, update_proj_gap: 10, galore_scale: 1, export_rank: 0, scale: 0.5 },
  },
  // Rounded numbers start from small ones, for zeros have no deviation, and learn through the rounding.
  {
    method: lowPrecision,
    settings: { bits: '1', r: 4, scale: 0.5, lora_dropout: 0 },
    start: 0.02,
    slope: false,
  },
  {
    method: lowPrecision,
    settings: { bits: '32', r: 4, scale: 1, lora_dropout: 0 },
    fits: onVit,
  },
  {
    method: lowPrecisionAdaptformer,
    settings: { bits: '4', bottleneck: 4, scale: 1, last_blocks: 0, adapter_dropout: 0 },
    start: 0.02,
    slope: false,
  },
];
/** A backbone, its input side, and lists of targets. */
const backbones: [string, number, string[][]][] = [
  ['tools/reference/fixtures/vit-tiny', 32, [['all-linear'], ['q_proj', 'v_proj'], ['vit.layers.1.mlp.fc1']]],
  ['tools/reference/fixtures/dinov2-swiglu-tiny', 20, [['gate_proj', 'up_proj', 'o_proj'], ['all-linear']]],
  ['models/weights/efficientnet-lite0', 64, [['blocks.5.3.conv_pw', 'conv_head'], ['conv_pwl']]],
];
const CLASSES = 3;
const BATCH = 2;

const forms = ['as stored', 'f16', 'int8'] as const;

/**
 * Every method on every backbone by `npm run matrix`, its frozen weights in another form on each; else each method on one,
 * another backbone and another form from method to method.
 */
const whole = process.env.MATRIX === 'whole';
const rows = methods.flatMap((row, i) => {
  const fitting = backbones.filter(([folder]) => row.fits?.(folder) ?? true);
  const chosen = whole ? fitting : [fitting[i % fitting.length]];
  return chosen.map(([folder, side, lists], j) => {
    const weights = forms[(i + (whole ? j : Math.floor(i / fitting.length))) % forms.length];
    return { ...row, folder, side, lists, weights, name: row.method.card.id };
  });
});

describe.each(rows)(
  '$name on $folder, weights $weights',
  ({ method, settings, folder, side, lists, weights, start = 0, slope = true }) => {
    const attachTo = (targets: string[]) => method.attach(model, { ...settings, target_modules: targets });
    const shape = { classes: CLASSES, batch: BATCH, size: side, labelSmoothing: 0, training: true };
    const traced = (attachment: Attachment, training = true) =>
      traceClassification(model, attachment, { ...shape, training });

    let model: Model;
    let attachment: Attachment;
    let parameters: AddedParameter[];
    let attached: Bench<'loss' | 'logits'>;
    /** Values of everything the method adds and of the head, which is random: as it starts, and moved from there. */
    let at: { start: Map<string, Float32Array>; moved: Map<string, Float32Array> };
    let values: Values;
    beforeAll(async () => {
      model = (await modelIn(folder)).holding({ weights });
      attachment = attachTo(lists[0]);
      parameters = trainedParameters(model, attachment, CLASSES);
      at = await tensorsOf(model, attachment, parameters);
      values = inputsOf(attachment, side);
      const { loss, logits } = traced(attachment);
      const leaves = trainablesOf([loss]);
      const found = gradients(loss, [...leaves.values()]);
      attached = await Bench.of(
        model,
        { loss, logits },
        new Map([...leaves.keys()].map((name, i) => [name, found[i]])),
      );
    });
    afterAll(() => attached.destroy());

    const tensorsAt = (of: ReadonlyMap<string, Float32Array>): Tensors =>
      new Map(
        [...parameters, ...(attachment.buffers ?? [])].map((p) => [
          p.name,
          { shape: p.shape, data: of.get(p.name)! },
        ]),
      );
    const resting = (of: Attachment, tensors: ReadonlyMap<string, Float32Array>) =>
      evaluate(model, { logits: traced(of, false).logits }, inputsOf(of, side), tensors);

    test.each(lists.map((list) => [list]))('trains what it declares on %s', (targets) => {
      const own = attachTo(targets);
      const declared = trainedParameters(model, own, CLASSES).map((p) => [p.name, p.shape] as const);
      const found = [...trainablesOf([traced(own).loss])].map(([name, t]) => [name, t.shape] as const);
      expect(new Map(found)).toEqual(new Map(declared));
    });

    test('starts as the frozen model', async () => {
      const { logits } = (await attached.run(values, at.start)).values;
      const plain = (await evaluate(model, { logits: plainLogits(model, side) }, values, at.start)).logits;
      if (start) close(logits, plain, start, 'logits');
      else expect(logits).toEqual(plain);
    });

    test('its gradient reaches every parameter and is the slope of the loss', async () => {
      const { gradients: found } = await attached.run(values, at.moved);
      let square = 0;
      for (const { name } of parameters) {
        const g = found.get(name)!;
        expect(g.some((x) => x !== 0) && g.every(Number.isFinite), name).toBe(true);
        square += g.reduce((n, x) => n + x * x, 0);
      }
      if (!slope) return;
      // A step of length h along the gradient raises the loss by h times its norm.
      const h = 0.002 / Math.sqrt(square);
      const lossBeside = async (step: number) => {
        const trained = new Set(parameters.map((p) => p.name));
        const moved = [...at.moved].map(
          ([name, v]) =>
            [name, trained.has(name) ? v.map((x, i) => x + step * found.get(name)![i]) : v] as const,
        );
        return (await attached.run(values, new Map(moved))).values.loss[0];
      };
      expect(((await lossBeside(h)) - (await lossBeside(-h))) / (2 * h * square)).toBeCloseTo(1, 2);
    });

    test.runIf(method.fromLowRank)('its factors come back from a file', async () => {
      const updates = method.toLowRank!(attachment, settings, tensorsAt(at.moved));
      const restored = method.fromLowRank!(updates);
      const again = method.attach(model, restored.settings);
      expect(method.toLowRank!(again, restored.settings, restored.tensors)).toEqual(updates);
    });

    test.runIf(method.peft)('comes back from its PEFT file', async () => {
      const content = await method.peft!.write(attachment, settings, tensorsAt(at.moved), baseOf(model));
      expect(content.config.peft_type).toBe(method.peft!.type);
      const restored = method.peft!.read(content, model);
      const again = method.attach(model, { ...settings, ...restored.settings });
      const tensors = new Map([
        ...at.moved,
        ...[...restored.tensors].map(([name, { data }]) => [name, data] as const),
      ]);
      close(
        (await resting(again, tensors)).logits,
        (await resting(attachment, at.moved)).logits,
        1e-5,
        'logits',
      );
    });

    test('comes back from graft.safetensors to the bit', async () => {
      const file = toNative({ method: method.card.id, settings, tensors: tensorsAt(at.moved) });
      const read = await fromNative(await readSafetensors(bytesSource(file)));
      expect(read).toMatchObject({ method: method.card.id, settings });
      for (const [name, { data }] of tensorsAt(at.moved)) expect(read.tensors.get(name)!.data).toEqual(data);
    });

    test.runIf(method.card.settings.some((s) => s.key === 'scale'))(
      'is switched off by its scale, and nothing is left of it',
      async () => {
        const off = { ...inputsOf(attachment, side), 'knob:scale': Float32Array.of(0) };
        const { logits } = await evaluate(model, { logits: traced(attachment, false).logits }, off, at.moved);
        const plain = await evaluate(model, { logits: plainLogits(model, side) }, values, at.moved);
        close(logits, plain.logits, 1e-5, 'logits');
      },
    );

    test('stands beside another adapter: each acts, and one that does nothing changes nothing', async () => {
      const other = attachment.parameters.some((p) => p.name.includes('ia3_l')) ? lora : ia3;
      const own = { r: 2, lora_alpha: 2, scale: 1, lora_dropout: 0, feedforward_modules: [] };
      const second = other.attach(model, { ...own, target_modules: lists[1] });
      const { start: resting2, moved: moved2 } = await tensorsOf(model, second, second.parameters);
      const labels = input('labels', [BATCH], { dtype: 'u32' });
      const below = [second.intercept(attachmentScopes(second, false, labels)(0))];
      const knobs = { ...inputsOf(second, side), ...inputsOf(attachment, side) };
      const { logits } = traceClassification(model, attachment, { ...shape, training: false }, below);
      const bench = await Bench.of(model, { logits });
      const both = async (values2: ReadonlyMap<string, Float32Array>) =>
        (await bench.run(knobs, new Map([...at.moved, ...values2]))).values.logits;
      const alone = (await resting(attachment, at.moved)).logits;
      close(await both(resting2), alone, 1e-5, 'beside one at rest');
      const moved = await both(moved2);
      bench.destroy();
      expect(Math.max(...moved.map((v, i) => Math.abs(v - alone[i])))).toBeGreaterThan(1e-4);
    });

    test('merges into the weights, or says why not', async () => {
      const before = await Promise.all(
        attachment.targets
          .map((target) => `${target}.weight`)
          .filter((path) => model.parameters.some((p) => p.path === path))
          .map(async (path) => [path, (await model.f32(path)).slice()] as const),
      );
      const merging = mergedWeights(method, attachment, settings, tensorsAt(at.moved), baseOf(model));
      if (!method.merge && !method.toLowRank)
        return expect(merging).rejects.toThrow(method.unmergeable ?? 'nothing');
      const shapes = new Map(model.parameters.map((p) => [p.path, p.shape]));
      const merged = new Map([...(await merging)].map(([path, w]) => [path, constant(w, shapes.get(path)!)]));
      const folded = await evaluate(model, { logits: plainLogits(model, side, merged) }, values, at.moved);
      close(folded.logits, (await resting(attachment, at.moved)).logits, 1e-5, 'logits');
      // Unmerging is taking the backbone's own weights, whose bits stay as they are.
      for (const [path, bits] of before) expect(await model.f32(path)).toEqual(bits);
    });
  },
);

test('ranks and scales that differ by module are brought to one', () => {
  const factor = (shape: number[], seed: number) => ({ shape, data: noise(sizeOf(shape), seed) });
  const updates = [
    { path: 'p', a: factor([2, 4], 1), b: factor([3, 2], 2), scale: 0.5 },
    { path: 'q', a: factor([1, 4], 3), b: factor([3, 1], 4), scale: 2 },
  ];
  const { settings, tensors } = lora.fromLowRank!(updates);
  const scale = (settings.lora_alpha as number) / (settings.r as number);
  for (const u of updates) {
    const [a, b] = ['A', 'B'].map((f) => tensors.get(`${u.path}.lora_${f}.weight`)!);
    expect([a.shape, b.shape]).toEqual([
      [2, 4],
      [3, 2],
    ]);
    const zero = new Float32Array(12);
    close(addProduct(zero, { a, b, scale }), addProduct(zero, u), 1e-6);
  }
});

/** Answers in place of data: positive definite moments and gradients of no meaning. */
function baseOf(model: Model): Base {
  const shapeOf = (path: string) => model.modules.find((m) => m.path === path)!.shape;
  return {
    weight: (path) => model.f32(path),
    inputMoments: async (paths) =>
      new Map(
        paths.map((path) => {
          const width = shapeOf(path)[1];
          const x = noise(width, 5);
          return [
            path,
            Float32Array.from({ length: width * width }, (_, i) => {
              const [row, column] = [Math.floor(i / width), i % width];
              return x[row] * x[column] + (row === column ? 1 : 0);
            }),
          ];
        }),
      ),
    gradients: async (paths) => new Map(paths.map((path, i) => [path, noise(sizeOf(shapeOf(path)), i + 9)])),
  };
}

async function tensorsOf(model: Model, attachment: Attachment, parameters: readonly AddedParameter[]) {
  const start = new Map<string, Float32Array>();
  const moved = new Map<string, Float32Array>();
  for (const [i, p] of parameters.entries()) {
    const fanIn = sizeOf(p.shape) / p.shape[0];
    const random = noise(sizeOf(p.shape), i + 3).map((x) => (0.5 * x) / Math.sqrt(fanIn));
    const isHead = model.isHead(p.name);
    start.set(p.name, isHead ? random : await startValue(p, 1, baseOf(model)));
    moved.set(p.name, isHead ? random : start.get(p.name)!.map((x, j) => x + 0.5 * random[j]));
  }
  for (const b of attachment.buffers ?? []) {
    const value = await startValue(b, 1, baseOf(model));
    start.set(b.name, value);
    moved.set(b.name, value);
  }
  return { start, moved };
}

function inputsOf(attachment: Attachment, side: number): Values {
  let state = 7;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    pixels: noise(BATCH * 3 * side * side, 1),
    labels: Uint32Array.of(2, 0),
    weights: Float32Array.of(0.5, 0.5),
    random: Uint32Array.of(1, 2),
    ...Object.fromEntries(attachment.knobs.map((k) => [`knob:${k.name}`, Float32Array.of(k.value)])),
    ...Object.fromEntries(
      (attachment.draws ?? []).map((d) => [`draw:${d.name}`, Float32Array.from(d.at(1, draw))]),
    ),
  };
}

/** Logits of the backbone alone, with some of its weights replaced. */
function plainLogits(model: Model, side: number, merged: ReadonlyMap<string, Tensor> = new Map()): Tensor {
  const { features } = model.trace(model.inputs(BATCH, side), [
    { parameter: (path) => merged.get(path) ?? null },
  ]);
  const head = headOf(model, CLASSES, (name, shape) => parameter(name, shape, { trainable: true }));
  return head(features);
}
