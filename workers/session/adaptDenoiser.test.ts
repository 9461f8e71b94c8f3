import { expect, test } from 'vitest';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { bytesSource, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import { readDiffusersLora, writeDiffusersLora } from '../../models/denoisers/lora.ts';
import { openDenoiser } from '../../models/denoisers/model.ts';
import { folderOf } from '../../models/denoisers/testing.ts';
import { lora } from '../../models/methods/lora.ts';
import { gaussian } from '../../models/samplers/noise.ts';
import { noised, trainingLevel } from '../../models/samplers/noising.ts';
import { cleanOf } from '../../models/samplers/parameterisation.ts';
import { readSchedule } from '../../models/samplers/schedule.ts';
import { DenoiserTraining } from './adaptDenoiser.ts';
import { DenoiserProgram } from './denoise.ts';

const schedule = readSchedule({ beta_schedule: 'squaredcos_cap_v2', prediction_type: 'v_prediction' });
const settings = {
  r: 4,
  use_rslora: false,
  lora_alpha: 8,
  scale: 1,
  lora_dropout: 0,
  target_modules: ['to_q', 'to_v', 'to_out.0', 'ff.net.2'],
};

test('a LoRA learns a picture, and its file gives the trained network', async () => {
  const gpu = await testGpu();
  const model = openDenoiser(await folderOf('dit-tiny'));
  const open = () =>
    DenoiserTraining.open({
      gpu,
      model,
      method: lora,
      settings,
      schedule,
      batch: 4,
      seed: 5,
      lr: 0.02,
      dropLabels: 0.1,
    });
  const training = await open();
  const size = 3 * 8 * 8;
  const examples = [{ latents: new Float32Array(size).fill(0.5), label: 2 }];
  const losses: number[] = [];
  for (let i = 0; i < 40; i++) losses.push(await training.step(examples));
  const mean = (values: number[]) => values.reduce((n, v) => n + v, 0) / values.length;
  expect(mean(losses.slice(-8))).toBeLessThan(0.6 * mean(losses.slice(0, 8)));

  const updates = lora.toLowRank!(training.attachment, settings, await training.tensors());
  expect(updates.length).toBe(2 * 4);
  const file = await readSafetensors(bytesSource(writeDiffusersLora(updates, model)));
  const adapted = await model.adapted(await readDiffusersLora(file, model));
  training.destroy();

  const error = async (of: typeof model) => {
    const program = await DenoiserProgram.open(gpu, of, { batch: 1 });
    const level = trainingLevel(schedule, 0.6);
    const { latents, target } = noised(schedule, level, examples[0].latents, gaussian(size, 9, 0, 0));
    const output = await program.predict(latents, level.t, { labels: Uint32Array.of(2) });
    program.destroy();
    return mean(Array.from(output, (v, i) => (v - target[i]) ** 2));
  };
  expect(await error(adapted)).toBeLessThan(0.6 * (await error(model)));

  const again = await open();
  for (const loss of losses.slice(0, 3)) expect(await again.step(examples)).toBe(loss);
  again.destroy();
});

test.each([
  {},
  { prediction_type: 'v_prediction' },
  { prediction_type: 'sample' },
  { _class_name: 'FlowMatchEulerDiscreteScheduler', shift: 3 },
  { _class_name: 'EDMEulerScheduler' },
])('the output to learn is the one that is read as the clean picture: %j', (config) => {
  const kind = readSchedule(config);
  const [clean, noise] = [gaussian(32, 1, 0, 0), gaussian(32, 2, 0, 0)];
  for (const u of [0.05, 0.5, 0.95]) {
    const level = trainingLevel(kind, u);
    const { target } = noised(kind, level, clean, noise);
    const x = clean.map((c, i) => level.alpha * c + level.sigma * noise[i]);
    cleanOf(kind, level, x, target).forEach((v, i) => {
      expect(v).toBeCloseTo(clean[i], 3);
    });
  }
});
