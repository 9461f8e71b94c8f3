import { describe, expect, test } from 'vitest';
import {
  type Copy,
  compile,
  copy,
  type Gpu,
  isFrozen,
  isParameter,
  nodesOf,
  type ParameterAttrs,
  type Program,
  State,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { close } from '../../gpu-shaders/testing/checkOp.ts';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { modelIn } from '../backbones/testing.ts';
import type { Model } from '../model.ts';
import { Scope } from '../scope.ts';
import { type DecodeShape, forget, remember, traceDecode } from './decode.ts';

const VOCABULARY = 43;
const LENGTHS = [9, 7];
const TOKENS = Math.max(...LENGTHS);
const PROMPTS = [5, 3];
const ids = Uint32Array.from({ length: LENGTHS.length * TOKENS }, (_, i) => (7 * i + 3) % VOCABULARY);
const shape: DecodeShape = { batch: LENGTHS.length, capacity: TOKENS, tokens: Math.max(...PROMPTS) };

/** Copies of what is only read, and the weights that it reads. */
async function programOf(
  model: Model,
  state: State,
  outputs: Record<string, Tensor>,
  limit?: number,
): Promise<Program> {
  for (const t of nodesOf(Object.values(outputs)).flatMap((n) => n.outputs)) {
    if (!isParameter(t) || !isFrozen(t)) continue;
    const { name } = t.node.attrs as ParameterAttrs;
    if (!state.hasFrozen(name)) state.setFrozen(name, await model.load(name));
  }
  const copied = Object.entries(outputs).map(([name, t]) => [name, copy(t)]);
  return compile(state, { label: 'decode', outputs: Object.fromEntries(copied), limit });
}

/** Language logits of whole texts, [B, T, V]. */
async function whole(model: Model, gpu: Gpu): Promise<{ logits: Float32Array; width: number }> {
  const state = new State(gpu, []);
  const output = model.trace(model.inputs(shape.batch, TOKENS));
  const root = new Scope({ weights: model.weights(), interceptions: [] });
  const language = model.backbone.languageHead!(root, output, model.config);
  const program = await programOf(model, state, { language });
  program.write('ids', ids);
  const mask = LENGTHS.flatMap((n) => Array.from({ length: TOKENS }, (_, t) => (t < n ? 1 : 0)));
  program.write('mask', Float32Array.from(mask));
  program.run();
  const { language: logits } = await program.collect(['language']);
  state.destroy();
  return { logits, width: language.shape[2] };
}

describe.each(['gpt2-odd-tiny', 'llama-odd-tiny', 'mistral-tiny'])('%s', (fixture) => {
  test('a prompt and then token by token, every text at its own place, gives what the whole text does', async () => {
    const [model, gpu] = await Promise.all([modelIn(`tools/reference/fixtures/${fixture}`), testGpu()]);
    const { logits: expected, width } = await whole(model, gpu);
    const at = (text: number, token: number) =>
      expected.subarray((text * TOKENS + token) * width, (text * TOKENS + token + 1) * width);
    const state = new State(gpu, []);
    forget(state, model, shape);
    const single = { ...shape, tokens: 1 };
    const prompt = await programOf(model, state, traceDecode(model, shape));
    const step = await programOf(model, state, traceDecode(model, single));

    const length = (done: number, text: number) => Math.min(PROMPTS[text] + done, LENGTHS[text]);
    const told = (program: Program, done: number, count: number, last: number[]) => {
      const mask = LENGTHS.flatMap((_, text) =>
        Array.from({ length: TOKENS }, (_, t) => (count === 1 && t < length(done, text) ? 1 : 0)),
      );
      const begin = (text: number) => (count === 1 ? Math.min(length(done, text), TOKENS - 1) : 0);
      const places = LENGTHS.flatMap((_, text) => Array.from({ length: count }, (_, n) => begin(text) + n));
      program.write('mask', Float32Array.from(mask));
      program.write('positions', Uint32Array.from(places));
      program.write(
        'ids',
        Uint32Array.from(places, (p, i) => ids[Math.floor(i / count) * TOKENS + p]),
      );
      program.write('last', Uint32Array.from(last));
    };
    told(
      prompt,
      0,
      shape.tokens,
      PROMPTS.map((n) => n - 1),
    );
    prompt.run();
    const first = (await prompt.collect(['logits'])).logits;
    for (const text of LENGTHS.keys())
      close(
        first.subarray(text * width, (text + 1) * width),
        at(text, PROMPTS[text] - 1),
        1e-5,
        `prompt ${text}`,
      );

    let copies: Copy[] = remember(
      prompt,
      state,
      model,
      shape,
      PROMPTS.map((count, text) => ({ text, from: 0, to: 0, count })),
    );
    for (let done = 0; done < TOKENS - Math.max(...PROMPTS); done++) {
      told(step, done, 1, [0, 0]);
      step.run(copies);
      const { logits } = await step.collect(['logits']);
      for (const text of LENGTHS.keys())
        close(
          logits.subarray(text * width, (text + 1) * width),
          at(text, PROMPTS[text] + done),
          1e-5,
          `token ${PROMPTS[text] + done} of text ${text}`,
        );
      copies = remember(
        step,
        state,
        model,
        single,
        LENGTHS.map((_, text) => ({ text, from: 0, to: PROMPTS[text] + done, count: 1 })),
      );
    }
    state.destroy();
  });
});

test('tables beyond the binding limit are read in bands, one head for words and their scores', async () => {
  const [model, gpu] = await Promise.all([modelIn('tools/reference/fixtures/qwen2-tiny'), testGpu()]);
  const run = async (limit?: number) => {
    const state = new State(gpu, []);
    forget(state, model, { batch: 1, capacity: 3 });
    const program = await programOf(
      model,
      state,
      traceDecode(model, { batch: 1, capacity: 3, tokens: 2 }),
      limit,
    );
    for (const [name, values] of Object.entries({ ids: [60, 31], positions: [0, 1], last: [1] }))
      program.write(name, Uint32Array.from(values));
    program.run();
    const { logits } = await program.collect(['logits']);
    const { dispatches } = program.report;
    state.destroy();
    return { logits, dispatches: dispatches.length };
  };
  const [plain, banded] = [await run(), await run(4096)];
  // 61 words of 24 numbers are 5856 bytes.
  expect(banded.dispatches).toBeGreaterThan(plain.dispatches);
  close(banded.logits, plain.logits, 1e-6);
});

test('an encoder is refused by its name', async () => {
  const model = await modelIn('tools/reference/fixtures/bert-tiny');
  expect(() => traceDecode(model, shape)).toThrow(/BERT.*GPT-2/);
});
