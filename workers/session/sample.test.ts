import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { bytesSource, readSafetensors, writeSafetensors } from '../../models/checkpoints/safetensors.ts';
import { readDiffusersLora } from '../../models/denoisers/lora.ts';
import { openDenoiser } from '../../models/denoisers/model.ts';
import { folderOf } from '../../models/denoisers/testing.ts';
import { type Guidance, guidanceOf, noGuidance } from '../../models/guidance/guide.ts';
import { gaussian } from '../../models/samplers/noise.ts';
import { readSchedule } from '../../models/samplers/schedule.ts';
import { DenoiserProgram } from './denoise.ts';
import { type SampleRequest, type SampleStep, sample } from './sample.ts';

const schedule = readSchedule({
  beta_schedule: 'squaredcos_cap_v2',
  prediction_type: 'v_prediction',
  timestep_spacing: 'trailing',
});
const BATCH = 2;
const PATH = 'transformer_blocks.1.attn1.to_q';

let program: DenoiserProgram;
beforeAll(async () => {
  program = await DenoiserProgram.open(await testGpu(), openDenoiser(await folderOf('dit-tiny')), {
    batch: BATCH,
  });
});
afterAll(() => program.destroy());

const request = (guidance: Guidance, more: Partial<SampleRequest> = {}): SampleRequest => ({
  schedule,
  sampler: 'ddim',
  steps: 4,
  guidance,
  seed: 3,
  samples: [0, 1],
  told: { labels: Uint32Array.of(1, 2) },
  nothing: { labels: Uint32Array.of(5, 5) },
  ...more,
});

async function run(asked: SampleRequest, by = program): Promise<SampleStep[]> {
  const steps: SampleStep[] = [];
  for await (const step of sample(by, asked)) steps.push(step);
  return steps;
}

const far = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((n, v, i) => Math.max(n, Math.abs(v - b[i])), 0);

describe('sampling', () => {
  test('same seed, same bits; another seed, another picture', async () => {
    const [a, b, c] = [
      await run(request(guidanceOf('apg', 4))),
      await run(request(guidanceOf('apg', 4))),
      await run(request(guidanceOf('apg', 4), { seed: 4 })),
    ];
    expect(a.map((s) => s.done)).toEqual([1, 2, 3, 4]);
    expect(a.at(-1)!.latents).toEqual(b.at(-1)!.latents);
    expect(far(a.at(-1)!.latents, c.at(-1)!.latents)).toBeGreaterThan(0.1);
    // Without noise left the picture is the last prediction.
    expect(far(a.at(-1)!.latents, a.at(-1)!.clean)).toBeLessThan(1e-6);
  });

  test('a sample does not depend on the batch it is drawn in', async () => {
    const size = program.shape.reduce((n, d) => n * d, 1);
    const ancestral = {
      sampler: 'ancestral',
      samples: [7, 1],
      told: { labels: Uint32Array.of(4, 2) },
    } as const;
    const first = (await run(request(noGuidance, { sampler: 'ancestral' }))).at(-1)!.latents;
    const second = (await run(request(noGuidance, ancestral))).at(-1)!.latents;
    expect(far(first.subarray(size), second.subarray(size))).toBeLessThan(1e-5);
  });

  test('evaluates the network as often as the rule needs', async () => {
    const evaluations = async (guidance: Guidance, more: Partial<SampleRequest> = {}) =>
      (await run(request(guidance, more))).at(-1)!.evaluations;
    expect(await evaluations(noGuidance)).toBe(4);
    expect(await evaluations(guidanceOf('cfg', 3))).toBe(8);
    expect(await evaluations(guidanceOf('cfg', 1))).toBe(4);
    expect(await evaluations({ ...guidanceOf('cfg', 3), interval: [0.3, 0.6] })).toBeLessThan(8);
    expect(await evaluations(noGuidance, { sampler: 'heun' })).toBe(7);
    expect(await evaluations({ ...noGuidance, autoScale: 2 }, { weak: program })).toBe(8);
  });

  test('autoguidance by the same network changes nothing', async () => {
    const plain = (await run(request(noGuidance))).at(-1)!.latents;
    const auto = (await run(request({ ...noGuidance, autoScale: 3 }, { weak: program }))).at(-1)!.latents;
    expect(far(plain, auto)).toBeLessThan(1e-5);
  });

  test('stops between steps, and the program serves on', async () => {
    let seen = 0;
    for await (const { done } of sample(program, request(guidanceOf('cfg', 2)))) {
      seen = done;
      if (done === 2) break;
    }
    expect(seen).toBe(2);
    expect((await run(request(noGuidance))).length).toBe(4);
  });

  test('refuses a batch that is not full', async () => {
    await expect(run(request(noGuidance, { samples: [0] }))).rejects.toThrow(RangeError);
  });
});

describe('a LoRA', () => {
  const factors = (scale: number, path = PATH) => {
    const [a, b] = [gaussian(2 * 16, 5, 0, 0), gaussian(16 * 2, 6, 0, 0).map((v) => scale * v)];
    return writeSafetensors(
      [
        { name: `transformer.${path}.lora_A.weight`, shape: [2, 16], data: a },
        { name: `transformer.${path}.lora_B.weight`, shape: [16, 2], data: b },
      ],
      { lora_adapter_metadata: JSON.stringify({ 'transformer.lora_alpha': 4, 'transformer.r': 2 }) },
    );
  };
  const opened = async (bytes: Uint8Array) => readSafetensors(bytesSource(bytes));

  test('is folded into the weights at alpha over rank', async () => {
    const model = openDenoiser(await folderOf('dit-tiny'));
    const [update] = await readDiffusersLora(await opened(factors(1)), model);
    expect(update.scale).toBe(2);
    const { weights } = await model.adapted([update]);
    const [plain, merged] = [await model.weights.f32(`${PATH}.weight`), await weights.f32(`${PATH}.weight`)];
    const product = (row: number, column: number) =>
      2 * [0, 1].reduce((n, r) => n + update.b.data[row * 2 + r] * update.a.data[r * 16 + column], 0);
    expect(
      far(
        merged,
        plain.map((w, i) => w + product(Math.floor(i / 16), i % 16)),
      ),
    ).toBeLessThan(1e-5);
  });

  test('changes the picture, and one of zeros does not', async () => {
    const plain = (await run(request(noGuidance))).at(-1)!.latents;
    const model = openDenoiser(await folderOf('dit-tiny'));
    for (const scale of [0, 1]) {
      const adapted = await model.adapted(await readDiffusersLora(await opened(factors(scale)), model));
      const other = await DenoiserProgram.open(await testGpu(), adapted, { batch: BATCH });
      const difference = far((await run(request(noGuidance), other)).at(-1)!.latents, plain);
      other.destroy();
      if (scale) expect(difference).toBeGreaterThan(1e-3);
      else expect(difference).toBeLessThan(1e-5);
    }
  });

  test('of another model is refused by name', async () => {
    const model = openDenoiser(await folderOf('dit-tiny'));
    await expect(readDiffusersLora(await opened(factors(1, 'blocks.0.attn')), model)).rejects.toThrow(
      'blocks.0.attn',
    );
  });
});
