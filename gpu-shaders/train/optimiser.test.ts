import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { input, parameter } from '../graph/leaves.ts';
import { add, mul } from '../ops/elementwise.ts';
import { reduceSum } from '../ops/reduce.ts';
import { State, type UpdateRule } from '../state.ts';
import { close } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { adamw, control, hyperVector, type Optimiser } from './optimiser.ts';
import { compileTrainStep } from './step.ts';

interface Run {
  name: string;
  lr: number;
  betas: [number, number];
  eps: number;
  weight_decay: number;
  max_norm: number;
  start: number[][];
  steps: { gradients: number[][]; grad_norm?: number; values: number[][] }[];
}

const { runs } = JSON.parse(
  readFileSync(new URL('../../tools/reference/fixtures/adamw.json', import.meta.url), 'utf8'),
) as { runs: Run[] };

/** A step whose gradient is whatever the input `g0`, `g1`, … says: loss = Σ w·g. */
async function steps(start: readonly number[][], optimiser: Optimiser = adamw) {
  const gpu = await testGpu();
  const leaves = start.map((s, i) => parameter(`w${i}`, [s.length], { trainable: true }));
  const state = new State(
    gpu,
    leaves.map((t, i) => ({ name: `w${i}`, type: t })),
  );
  start.forEach((s, i) => {
    state.setTrainable(`w${i}`, Float32Array.from(s));
  });
  const loss = leaves.map((w, i) => reduceSum(mul(w, input(`g${i}`, w.shape)))).reduce((a, b) => add(a, b));
  return { state, program: await compileTrainStep(state, { label: 'step', loss, optimiser }) };
}

describe('AdamW against PyTorch', () => {
  for (const run of runs)
    test(run.name, async () => {
      const optimiser: Optimiser = { kind: 'adamw', beta1: run.betas[0], beta2: run.betas[1], eps: run.eps };
      const { state, program } = await steps(run.start, optimiser);
      for (const [i, { gradients, values }] of run.steps.entries()) {
        gradients.forEach((g, j) => {
          program.write(`g${j}`, Float32Array.from(g));
        });
        program.write(
          'hyper',
          hyperVector(
            { lr: run.lr, weightDecay: run.weight_decay, clip: run.max_norm, lossScale: 1, step: i + 1 },
            optimiser,
          ),
        );
        program.run();
        const now = await state.readTrainables();
        values.forEach((v, j) => {
          close(now.get(`w${j}`)!, v, 1e-5, `values after step ${i + 1}`);
        });
      }
    });
});

test('a gradient that is not finite changes nothing and is reported', async () => {
  const { state, program } = await steps([[1, 2, 3]]);
  program.write('hyper', hyperVector({ lr: 0.1, weightDecay: 0.1, clip: 1, lossScale: 1, step: 1 }, adamw));
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
    program.write('g0', Float32Array.of(1, bad, 1));
    program.run();
    const { control: c } = await program.collect(['control']);
    expect(c[control.skipped]).toBe(1);
    expect([...(await state.readTrainables()).get('w0')!]).toEqual([1, 2, 3]);
    expect([...(await state.readTrainables('moment1')).get('w0')!]).toEqual([0, 0, 0]);
  }
});

test('a scaled loss leaves the update as it is', async () => {
  const updated = async (scale: number) => {
    const gpu = await testGpu();
    const w = parameter('w', [3], { trainable: true });
    const state = new State(gpu, [{ name: 'w', type: w }]);
    state.setTrainable('w', Float32Array.of(1, -2, 0.5));
    const program = await compileTrainStep(state, {
      label: 'scaled',
      loss: reduceSum(mul(w, mul(w, input('x', [3])))),
      optimiser: adamw,
      lossScale: input('scale', []),
    });
    program.write('x', Float32Array.of(0.3, -0.7, 2));
    program.write('scale', Float32Array.of(scale));
    program.write(
      'hyper',
      hyperVector({ lr: 0.1, weightDecay: 0, clip: 0.5, lossScale: scale, step: 1 }, adamw),
    );
    program.run();
    return (await state.readTrainables()).get('w')!;
  };
  // A power of two changes exponents only, so not a bit differs.
  expect([...(await updated(1024))]).toEqual([...(await updated(1))]);
});

test('SGD with momentum', async () => {
  const sgd = { kind: 'sgd', momentum: 0.9 } as const;
  const { state, program } = await steps([[1, -2]], sgd);
  let [w, m] = [
    [1, -2],
    [0, 0],
  ];
  for (let step = 1; step <= 3; step++) {
    program.write('g0', Float32Array.of(0.5, -0.25));
    program.write('hyper', hyperVector({ lr: 0.1, weightDecay: 0.01, clip: 0, lossScale: 1, step }, sgd));
    program.run();
    m = m.map((x, i) => 0.9 * x + [0.5, -0.25][i] + 0.01 * w[i]);
    w = w.map((x, i) => x - 0.1 * m[i]);
  }
  close((await state.readTrainables()).get('w0')!, w, 1e-6);
});

test('a run makes no buffer, bind group or pipeline', async () => {
  const gpu = await testGpu();
  const { program } = await steps([
    [1, 2, 3],
    [4, 5],
  ]);
  const made: string[] = [];
  const { device } = gpu;
  for (const name of [
    'createBuffer',
    'createBindGroup',
    'createComputePipelineAsync',
    'createShaderModule',
  ] as const) {
    const original = device[name].bind(device) as (...args: unknown[]) => unknown;
    Object.defineProperty(device, name, {
      configurable: true,
      value: (...args: unknown[]) => {
        made.push(name);
        return original(...args);
      },
    });
  }
  program.write('g0', Float32Array.of(1, 1, 1));
  program.run();
  program.run();
  for (const name of [
    'createBuffer',
    'createBindGroup',
    'createComputePipelineAsync',
    'createShaderModule',
  ] as const)
    delete (device as unknown as Record<string, unknown>)[name];
  expect(made).toEqual([]);
});

describe('update rules', () => {
  /** Three parameters of two odd lengths under the rules given, after two steps with the gradients given. */
  async function updated(rules: (UpdateRule | undefined)[], optimiser: Optimiser, grads: number[][][]) {
    const gpu = await testGpu();
    const leaves = rules.map((_, i) => parameter(`w${i}`, [3], { trainable: true }));
    const state = new State(
      gpu,
      leaves.map((type, i) => ({ name: `w${i}`, type, rule: rules[i] })),
    );
    for (const i of leaves.keys()) state.setTrainable(`w${i}`, Float32Array.of(1, -2, 3));
    const loss = leaves.map((w, i) => reduceSum(mul(w, input(`g${i}`, w.shape)))).reduce((a, b) => add(a, b));
    const program = await compileTrainStep(state, { label: 'step', loss, optimiser });
    for (const [n, each] of grads.entries()) {
      each.forEach((g, i) => {
        program.write(`g${i}`, Float32Array.from(g));
      });
      program.write(
        'hyper',
        hyperVector({ lr: 0.1, weightDecay: 0.5, clip: 0, lossScale: 1, step: n + 1 }, optimiser),
      );
      program.run();
    }
    const [values, moments] = [await state.readTrainables(), await state.readTrainables('moment1')];
    return leaves.map((_, i) => ({
      value: [...values.get(`w${i}`)!],
      moment: [...moments.get(`w${i}`)!],
    }));
  }

  test('rate multiplies the step of its own parameters alone, in any order', async () => {
    const sgd: Optimiser = { kind: 'sgd', momentum: 0 };
    const rules = [{ decay: false }, { decay: false, rate: 4 }, { decay: false }];
    const same = [[1, 0, -1]];
    const found = await updated(rules, sgd, [[...same, ...same, ...same]]);
    close(found[0].value, [0.9, -2, 3.1], 1e-6);
    close(found[1].value, [0.6, -2, 3.4], 1e-6);
    expect(found[2]).toEqual(found[0]);
  });

  test('without decay a parameter with no gradient stays', async () => {
    const zero = [0, 0, 0];
    const found = await updated([{ decay: false }, undefined], adamw, [[zero, zero]]);
    expect(found[0].value).toEqual([1, -2, 3]);
    close(found[1].value, [0.95, -1.9, 2.85], 1e-6);
  });

  test('sparse leaves elements with a zero gradient alone, moments and all', async () => {
    const first = [1, 1, 1];
    const second = [1, 0, 1];
    const [once] = await updated([{ sparse: true }], adamw, [[first]]);
    const [sparse] = await updated([{ sparse: true }], adamw, [[first], [second]]);
    const [dense] = await updated([{}], adamw, [[first], [second]]);
    expect([sparse.value[1], sparse.moment[1]]).toEqual([once.value[1], once.moment[1]]);
    expect([sparse.value[0], sparse.value[2]]).toEqual([dense.value[0], dense.value[2]]);
    expect(dense.value[1]).not.toBe(sparse.value[1]);
  });
});
