import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { gradients } from '../graph/gradient.ts';
import { input } from '../graph/leaves.ts';
import { frozenCut, substitute } from '../graph/split.ts';
import { copy } from '../ops/elementwise.ts';
import type { Report } from '../program.ts';
import type { State } from '../state.ts';
import { close } from '../testing/checkOp.ts';
import { TinyVit } from '../testing/tinyVit.ts';
import { compile } from './build.ts';
import { everyOptimisation, type Optimisations } from './options.ts';
import { prepare } from './prepare.ts';
import { formsFor, PLAIN } from './target.ts';

interface Outcome {
  loss: Float32Array;
  gradients: Map<string, Float32Array>;
  report: Report;
  /** Every kernel's text, and what memory the step takes. */
  made: (string | number)[];
}

/** Loss and gradients of one step under the switches given. */
async function step(vit: TinyVit, state: State, optimise: Optimisations, memory?: number): Promise<Outcome> {
  const { info } = state.gpu;
  const pipelines = vi.spyOn(state.gpu, 'pipeline');
  const product = formsFor(info).includes('tall') ? 'tall' : 'lone';
  const fast = { ...PLAIN, product, packed: true, rows: 'group' } as const;
  const target = optimise.tune ? fast : PLAIN;
  const [whole] = prepare([vit.loss], optimise);
  const cut = optimise.prefix ? frozenCut([whole]) : [];
  const names = new Map(cut.map((t, i) => [t, `cut${i}`]));
  const inputs = new Map([...names].map(([t, name]) => [t, input(name, t.shape, { sample: true })]));
  const [loss] = substitute([whole], inputs);
  const trained = [...vit.trained];
  const found = gradients(
    loss,
    trained.map(([, t]) => t),
  );
  const program = await compile(state, {
    label: 'step',
    outputs: { loss: copy(loss) },
    gradients: new Map(trained.map(([name], i) => [name, copy(found[i])])),
    memory,
    target,
    optimise,
  });
  if (cut.length) {
    const outputs = Object.fromEntries([...names].map(([t, name]) => [name, copy(t)]));
    const prefix = await compile(state, { label: 'prefix', outputs, target, optimise });
    prefix.write('x', vit.inputs.x);
    prefix.run();
    for (const [name, values] of Object.entries(await prefix.collect([...names.values()])))
      program.write(name, values);
    prefix.destroy();
  }
  for (const [name, data] of Object.entries(vit.inputs)) program.write(name, data);
  program.run();
  const result = {
    loss: (await program.collect(['loss'])).loss,
    gradients: await state.readTrainables('gradients'),
    report: program.report,
    made: [...pipelines.mock.calls.map(([, code]) => code), program.report.arenaBytes],
  };
  pipelines.mockRestore();
  program.destroy();
  return result;
}

const switches = Object.keys(everyOptimisation) as (keyof Optimisations)[];
const none = Object.fromEntries(switches.map((name) => [name, false])) as unknown as Optimisations;

describe('a step gives the same numbers', () => {
  const vit = new TinyVit(3, 1);
  let state: State;
  let all: Outcome;
  let memory: number;

  beforeAll(async () => {
    state = await vit.state();
    const whole = await step(vit, state, { ...everyOptimisation, recompute: false });
    memory = 0.85 * whole.report.arenaBytes;
    all = await step(vit, state, everyOptimisation, memory);
  });
  afterAll(() => state.destroy());

  const same = (found: Outcome) => {
    close(found.loss, all.loss, 1e-5, 'loss');
    for (const [name, g] of all.gradients) close(found.gradients.get(name)!, g, 1e-5, name);
  };

  test('the step has a loss and a gradient for every adapter, and computes again', () => {
    expect(all.loss[0]).toBeGreaterThan(0.1);
    for (const [name, g] of all.gradients) expect(Math.max(...g.map(Math.abs)), name).toBeGreaterThan(1e-6);
    expect(all.report.recomputed?.segments).toBeGreaterThan(0);
    expect(all.report.arenaBytes).toBeLessThanOrEqual(memory);
  });

  for (const name of switches)
    test(`without ${name}, which then does something else`, async () => {
      const optimise = { ...everyOptimisation, [name]: false };
      // Without reuse of memory, or leave to compute again, no step keeps to a limit.
      const limited = optimise.reuse && optimise.recompute;
      const without = await step(vit, state, optimise, limited ? memory : undefined);
      same(without);
      expect(without.made).not.toEqual(all.made);
    });

  test('with none', async () => same(await step(vit, state, none)));
});
