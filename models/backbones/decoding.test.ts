import { expect, test } from 'vitest';
import {
  compile,
  copy,
  input,
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
import type { Model } from '../model.ts';
import { modelIn } from './testing.ts';

const LENGTHS = [9, 7];
const TOKENS = Math.max(...LENGTHS);
const PROMPTS = [5, 3];
const ids = Uint32Array.from({ length: LENGTHS.length * TOKENS }, (_, i) => (7 * i + 3) % 43);

/** A program of outputs that are read, with the weights that they need. */
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

/** One step of `count` new tokens of each text behind a past of TOKENS at most. */
function traceStep(model: Model, batch: number, count: number): Record<string, Tensor> {
  const { decode, languageHead } = model.backbone;
  const width = decode!.width(model.config);
  const names = Array.from({ length: model.blocks }, (_, i) => ({ k: `k${i}`, v: `v${i}` }));
  const past = (name: string) => input(`past:${name}`, [batch, TOKENS, width]);
  const scope = model.scope();
  const { last, rows } = decode!.forward(
    scope,
    {
      ids: input('ids', [batch, count], { dtype: 'u32' }),
      positions: input('positions', [batch, count], { dtype: 'u32' }),
      mask: input('mask', [batch, TOKENS]),
      past: names.map(({ k, v }) => ({ k: past(k), v: past(v) })),
    },
    model.config,
  );
  const outputs: Record<string, Tensor> = { logits: languageHead!(scope, { last }, model.config) };
  rows.forEach(({ k, v }, i) => {
    outputs[names[i].k] = k;
    outputs[names[i].v] = v;
  });
  return outputs;
}

/** Language logits of whole texts, [B, T, V]. */
async function whole(model: Model, state: State): Promise<{ logits: Float32Array; width: number }> {
  const scope = model.scope();
  const output = model.backbone.forward(scope, model.inputs(LENGTHS.length, TOKENS), model.config);
  const logits = model.backbone.languageHead!(scope, output, model.config);
  const program = await programOf(model, state, { logits });
  program.write('ids', ids);
  const mask = LENGTHS.flatMap((n) => Array.from({ length: TOKENS }, (_, t) => (t < n ? 1 : 0)));
  program.write('mask', Float32Array.from(mask));
  program.run();
  return { ...(await program.collect(['logits'])), width: logits.shape[2] };
}

test.each(['gpt2-odd-tiny', 'llama-odd-tiny', 'mistral-tiny'])(
  '%s: a prompt and then token by token, each text at its own place, gives what whole texts do',
  async (fixture) => {
    const [model, gpu] = await Promise.all([modelIn(`tools/reference/fixtures/${fixture}`), testGpu()]);
    const state = new State(gpu, []);
    const { logits: expected, width } = await whole(model, state);
    const past = new Map<string, Float32Array>();
    const features = model.backbone.decode!.width(model.config);

    /** Runs a step of the tokens from `begins` on, compares those that are there, and keeps their keys and values. */
    const run = async (
      program: Program,
      begins: readonly number[],
      ends: readonly number[],
      count: number,
    ) => {
      const places = begins.flatMap((from) => Array.from({ length: count }, (_, n) => from + n));
      const mask = begins.flatMap((from) => Array.from({ length: TOKENS }, (_, t) => (t < from ? 1 : 0)));
      program.write(
        'ids',
        Uint32Array.from(places, (p, i) => ids[Math.floor(i / count) * TOKENS + p] ?? 0),
      );
      program.write('positions', Uint32Array.from(places));
      program.write('mask', Float32Array.from(mask));
      for (const [name, rows] of past) program.write(`past:${name}`, rows);
      program.run();
      const names = Array.from({ length: model.blocks }, (_, i) => [`k${i}`, `v${i}`]).flat();
      const { logits, ...rows } = await program.collect(['logits', ...names]);
      for (const [text, from] of begins.entries())
        for (let n = 0; n < count && from + n < ends[text]; n++) {
          const [own, other] = [text * count + n, text * TOKENS + from + n];
          close(
            logits.subarray(own * width, (own + 1) * width),
            expected.subarray(other * width, (other + 1) * width),
            1e-5,
            `token ${from + n} of text ${text}`,
          );
          for (const [name, data] of Object.entries<Float32Array>(rows)) {
            const kept = past.get(name) ?? new Float32Array(begins.length * TOKENS * features);
            kept.set(data.subarray(own * features, (own + 1) * features), other * features);
            past.set(name, kept);
          }
        }
    };

    const prompt = Math.max(...PROMPTS);
    await run(
      await programOf(model, state, traceStep(model, LENGTHS.length, prompt)),
      [0, 0],
      PROMPTS,
      prompt,
    );
    const step = await programOf(model, state, traceStep(model, LENGTHS.length, 1));
    for (let done = 0; done < TOKENS - prompt; done++)
      await run(
        step,
        PROMPTS.map((n) => n + done),
        LENGTHS,
        1,
      );
    state.destroy();
  },
);

test('tables beyond the binding limit are read in bands, one table for words and their scores', async () => {
  const [model, gpu] = await Promise.all([modelIn('tools/reference/fixtures/qwen2-tiny'), testGpu()]);
  const state = new State(gpu, []);
  const run = async (limit?: number) => {
    const program = await programOf(model, state, traceStep(model, 1, 2), limit);
    program.write('ids', Uint32Array.of(60, 31));
    program.write('positions', Uint32Array.of(0, 1));
    program.run();
    return { ...(await program.collect(['logits'])), dispatches: program.report.dispatches.length };
  };
  // 61 words of 24 numbers are 5856 bytes.
  const [plain, banded] = [await run(), await run(4096)];
  expect(banded.dispatches).toBeGreaterThan(plain.dispatches);
  close(banded.logits, plain.logits, 1e-6);
  state.destroy();
});
