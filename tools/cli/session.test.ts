import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { Gpu } from '../../gpu-shaders/index.ts';
import { bytesSource, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import type { Tensors } from '../../models/methods/method.ts';
import type { Profile, StepPoint } from '../../workers/protocol.ts';
import type { Progress } from '../../workers/session/checkpoint.ts';
import { type Files, StorageFullError } from '../../workers/session/ports.ts';
import type { PrefixPlace } from '../../workers/session/prefix.ts';
import { Session } from '../../workers/session/session.ts';
import type { TrainControl } from '../../workers/session/train.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { MemoryFiles } from '../../workers/storage/memory.ts';
import { openOnnx } from '../onnx/node.ts';
import { openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';
import { FolderSamples } from './samples.ts';

const fixtures = 'tools/reference/fixtures';

/** One device for all: what it has compiled stays compiled. */
let gpu: Promise<Gpu> | undefined;

async function openSession(
  options: { files?: Files; settings?: Settings; start?: Tensors; val?: number; prefix?: PrefixPlace } = {},
) {
  gpu ??= openGpu();
  const backbone = await openBackbone(`${fixtures}/vit-tiny`);
  const method = methodById('lora');
  const split = { val: options.val ?? 0, test: 0, seed: 1, fromFolders: true };
  const dataset = await FolderSamples.open(
    `${fixtures}/peft-vit-lora/images`,
    backbone.files.preprocessor!,
    split,
  );
  const given: Settings = {
    batch_size: 8,
    image_size: 32,
    target_modules: ['q_proj', 'v_proj'],
    r: 4,
    lora_alpha: 8,
    ...options.settings,
  };
  const session = await Session.open({
    gpu: await gpu,
    files: options.files ?? new MemoryFiles(),
    backboneHash: backbone.hash,
    model: backbone.model,
    method,
    settings: completeSettings(method, given, defaultSettings(method, backbone.model, 40)),
    dataset,
    folder: 'runs/one/checkpoints',
    start: options.start,
    prefix: options.prefix,
    onnx: openOnnx(),
    report: () => {},
  });
  return session;
}

/** Runs until done, or until `pauseAt` steps have been seen. */
async function run(
  session: Session,
  { pauseAt = Number.POSITIVE_INFINITY, turns = [] as { at: number; knob: string; value: number }[] } = {},
) {
  const points: StepPoint[] = [];
  const control: TrainControl = { wish: 'run', turns: [], now: () => 0 };
  const outcome = await session.run(control, {
    step(point) {
      points.push(point);
      if (point.step >= pauseAt) control.wish = 'pause';
      for (const t of turns) if (t.at === point.step) control.turns.push({ knob: t.knob, value: t.value });
    },
    evaluated: () => {},
    notice: (message) => {
      throw new Error(message);
    },
  });
  return { points, outcome };
}

const bits = (t: Tensors) =>
  [...t].map(
    ([name, { data }]) => `${name} ${createHash('sha256').update(new Uint8Array(data.buffer)).digest('hex')}`,
  );

test('20 LoRA steps follow PEFT from the same start on the same batches', async () => {
  const folder = `${fixtures}/peft-vit-lora`;
  const init = await readSafetensors(bytesSource(await readFile(`${folder}/init/adapter_model.safetensors`)));
  const start = new Map(
    await Promise.all(
      init
        .names()
        .map(
          async (n) =>
            [
              n.replace('base_model.model.', ''),
              { shape: init.info(n).shape, data: await init.f32(n) },
            ] as const,
        ),
    ),
  );
  const settings = { shuffle: false, schedule: 'constant', lr: 1e-3, weight_decay: 0.01, clip: 0, epochs: 4 };
  const session = await openSession({ settings, start, prefix: 'gpu' });
  const { points } = await run(session);
  const expected = await readSafetensors(bytesSource(await readFile(`${folder}/expected.safetensors`)));
  const losses = await expected.f32('losses');
  const worst = Math.max(...points.map((p, i) => Math.abs(p.loss - losses[i]) / losses[i]));
  console.log(`loss of 20 steps against PEFT: largest relative difference ${worst.toExponential(2)}`);
  expect(points.length).toBe(20);
  expect(worst).toBeLessThan(1e-3);
  const norms = await expected.f32('grad_norms');
  expect(Math.max(...points.map((p, i) => Math.abs(p.gradNorm - norms[i]) / norms[i]))).toBeLessThan(1e-3);
  const logits = await session.logits([...Array(40).keys()], session.startKnobs());
  const final = await expected.f32('final_logits');
  const scale = Math.max(...final.map(Math.abs));
  const off = Math.max(...logits.flatMap((l, i) => [...l].map((x, j) => Math.abs(x - final[i * 5 + j]))));
  console.log(`logits after them: ${(off / scale).toExponential(2)} of the largest`);
  expect(off / scale).toBeLessThan(1e-3);
  session.destroy();
});

describe('a run that is cut off', () => {
  const settings = { epochs: 4, lora_dropout: 0.3, augment: 1, schedule: 'cosine' };

  test('goes on with the same bits, knobs turned included', async () => {
    const turns = [
      { at: 2, knob: 'lr', value: 3e-3 },
      { at: 10, knob: 'scale', value: 0.5 },
    ];
    const whole = await openSession({ settings, val: 0.2 });
    const undisturbed = await run(whole, { turns });
    const expected = bits(await whole.trained());
    whole.destroy();

    const files = new MemoryFiles();
    const first = await openSession({ settings, val: 0.2, files });
    const before = await run(first, { pauseAt: 6, turns });
    expect(before.outcome.state).toBe('paused');
    first.destroy();
    const second = await openSession({ settings, val: 0.2, files });
    const after = await run(second, { turns });
    expect(after.outcome.state).toBe('done');
    expect(bits(await second.trained())).toEqual(expected);
    const figures = (points: StepPoint[]) =>
      points.map(({ step, loss, gradNorm }) => ({ step, loss, gradNorm }));
    expect(figures(after.outcome.progress.steps)).toEqual(figures(undisturbed.outcome.progress.steps));
    second.destroy();
  });

  test('keeps its frozen prefix where it began, to the bit', async () => {
    const whole = await openSession({ settings, prefix: 'processor' });
    const undisturbed = await run(whole);
    const expected = bits(await whole.trained());
    whole.destroy();

    const files = new MemoryFiles();
    const first = await openSession({ settings, files, prefix: 'processor' });
    await run(first, { pauseAt: 3 });
    first.destroy();
    await files.remove('features/');
    const second = await openSession({ settings, files });
    expect(second.prefix.choice.place).toBe('processor');
    const after = await run(second);
    expect(bits(await second.trained())).toEqual(expected);
    expect(after.outcome.progress.steps.at(-1)?.loss).toBe(undisturbed.outcome.progress.steps.at(-1)?.loss);
    second.destroy();
  });

  test('reads its frozen features back instead of computing them', async () => {
    const files = new MemoryFiles();
    (await openSession({ settings, files })).destroy();
    const stored = (await files.list('features/')).length;
    const again = await openSession({ settings, files });
    expect((await files.list('features/')).length).toBe(stored);
    again.destroy();
  });
});

test('a profile taken between two steps leaves the run as it was', async () => {
  const settings = { epochs: 2, lora_dropout: 0.3, augment: 1 };
  const plain = await openSession({ settings });
  const undisturbed = await run(plain);
  const expected = bits(await plain.trained());
  plain.destroy();

  const session = await openSession({ settings });
  const profiles: Profile[] = [];
  const aside = async (progress: Progress) => void profiles.push(await session.profile(progress));
  const asides: (typeof aside)[] = [];
  const outcome = await session.run(
    { wish: 'run', turns: [], asides, now: () => 0 },
    { step: ({ step }) => step === 2 && asides.push(aside), evaluated: () => {}, notice: () => {} },
  );
  expect(bits(await session.trained())).toEqual(expected);
  const losses = (points: readonly StepPoint[]) => points.map((p) => p.loss);
  expect(losses(outcome.progress.steps)).toEqual(losses(undisturbed.points));
  expect(profiles).toHaveLength(1);
  const [{ kernels, productRate }] = profiles;
  expect(kernels.some((k) => k.flops > 0 && k.ms > 0 && k.bytes > 0)).toBe(true);
  expect(productRate).toBeGreaterThan(1e8);
  session.destroy();
});

test('a full disk costs neither the run nor the best weights, and is told once', async () => {
  const files = new MemoryFiles();
  files.write = async () => {
    throw new StorageFullError('There is no room left.');
  };
  const session = await openSession({ files, val: 0.2, settings: { epochs: 2 } });
  const notices: string[] = [];
  const outcome = await session.run(
    { wish: 'run', turns: [], now: () => 0 },
    { step: () => {}, evaluated: () => {}, notice: (m) => notices.push(m) },
  );
  expect(outcome.state).toBe('done');
  expect(notices).toEqual([expect.stringMatching(/no room left.*goes on.*Remove data sets/)]);
  expect(await session.checkpoints.best()).not.toBeNull();
  session.destroy();
});

test('a batch in parts gives the steps of the whole batch; packed weights nearly do', async () => {
  const settings = { epochs: 1, lora_dropout: 0.3, shuffle: false, batch_size: 10 };
  const losses = async (given: Settings) => {
    const session = await openSession({ settings: { ...settings, ...given } });
    const { points } = await run(session);
    const found = { losses: points.map((p) => p.loss), accuracy: points.map((p) => p.accuracy) };
    const bytes = session.state.frozenBytes;
    session.destroy();
    return { ...found, bytes };
  };
  const whole = await losses({});
  // Four, four and two samples.
  const parts = await losses({ accumulate: 3 });
  expect(parts.accuracy).toEqual(whole.accuracy);
  parts.losses.forEach((loss, i) => {
    expect(loss / whole.losses[i] - 1, `step ${i + 1}`).toBeCloseTo(0, 4);
  });
  const packed = await losses({ weights: 'int8' });
  expect(packed.bytes).toBeLessThan(0.6 * whole.bytes);
  packed.losses.forEach((loss, i) => {
    expect(loss / whole.losses[i] - 1, `step ${i + 1}`).toBeCloseTo(0, 1);
  });
});

test('dropout and views differ between steps and repeat between runs', async () => {
  const losses = [];
  for (const seed of [1, 1, 2]) {
    const session = await openSession({ settings: { epochs: 1, lora_dropout: 0.5, shuffle: false, seed } });
    losses.push((await run(session)).points.map((p) => p.loss));
    session.destroy();
  }
  expect(losses[0]).toEqual(losses[1]);
  expect(losses[0]).not.toEqual(losses[2]);
});
