import { expect, test } from 'vitest';
import { compile, copy, State, sizeOf } from '../../gpu-shaders/index.ts';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { modelIn } from '../../models/backbones/testing.ts';
import { likeliest } from '../../models/generation/sample.ts';
import { lora } from '../../models/methods/lora.ts';
import { causalLm } from '../../models/tasks/index.ts';
import { frozenWeights, type RunShape } from './programs.ts';
import { Writer } from './write.ts';

const length = 14;
const greedy = { temperature: 0, topP: 1, seed: 1, ends: new Set<number>() };

async function opened(folder: string, targets: string[]) {
  const model = await modelIn(`tools/reference/fixtures/${folder}`);
  const settings = { r: 2, lora_alpha: 4, scale: 1, lora_dropout: 0, target_modules: targets };
  const attachment = lora.attach(model, settings);
  const all = { ...settings, max_length: length, label_smoothing: 0 };
  const shape: RunShape = { model, attachment, classes: 0, settings: all, task: causalLm };
  const specs = attachment.parameters.map((p) => ({
    name: p.name,
    type: { shape: p.shape, dtype: 'f32' as const },
  }));
  const state = new State(await testGpu(), specs);
  for (const path of frozenWeights(shape)) state.setFrozen(path, await model.load(path));
  attachment.parameters.forEach((p, i) => {
    state.writeTensor(p.name, noise(sizeOf(p.shape), i + 1));
  });
  return { model, attachment, state };
}

test.each([
  ['llama-tiny', ['q_proj', 'v_proj']],
  ['gpt2-tiny', ['c_attn']],
])('%s writes what reading the whole text anew would choose', async (folder, targets) => {
  const { model, attachment, state } = await opened(folder, targets);
  const { logits } = causalLm.trace(model, attachment, {
    classes: 0,
    batch: 1,
    size: length,
    labelSmoothing: 0,
    training: false,
  });
  const whole = await compile(state, { label: 'whole', outputs: { logits: copy(logits) } });
  whole.write('knob:scale', Float32Array.of(1));
  const text = [5, 17, 3, 42];
  while (text.length < length) {
    whole.write(
      'ids',
      Uint32Array.from({ length }, (_, i) => text[i] ?? 0),
    );
    whole.write(
      'mask',
      Float32Array.from({ length }, (_, i) => Number(i < text.length)),
    );
    whole.run();
    const values = (await whole.collect(['logits'])).logits;
    const width = values.length / length;
    text.push(likeliest(values.slice((text.length - 1) * width, text.length * width)));
  }
  const writer = await Writer.open(state, model, attachment, length);
  const write = async (prompt: number[], tokens: number) => {
    const found: number[] = [];
    for await (const token of writer.write(prompt, { ...greedy, tokens })) found.push(token);
    return found;
  };
  expect(await write(text.slice(0, 4), 10)).toEqual(text.slice(4));
  // Nothing of the text before stays.
  expect(await write(text.slice(0, 4), 3)).toEqual(text.slice(4, 7));
  const bare = await Writer.open(state, model, null, length);
  const plain: number[] = [];
  for await (const token of bare.write(text.slice(0, 4), { ...greedy, tokens: 10 })) plain.push(token);
  expect(plain).not.toEqual(text.slice(4));
  for (const part of [whole, writer, bare]) part.destroy();
  state.destroy();
});

test('refuses what cannot be written on', async () => {
  const { model, attachment, state } = await opened('llama-tiny', ['q_proj']);
  const writer = await Writer.open(state, model, attachment, length);
  const long = Array.from({ length: length + 1 }, () => 1);
  await expect(writer.write(long, { ...greedy, tokens: 1 }).next()).rejects.toThrow(/takes 1 to 13/);
  const bert = await modelIn('tools/reference/fixtures/bert-tiny');
  await expect(Writer.open(state, bert, null, length)).rejects.toThrow(/does not write texts/);
  writer.destroy();
  state.destroy();
});
