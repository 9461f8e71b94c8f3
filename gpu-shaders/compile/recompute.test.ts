import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gradients } from '../graph/gradient.ts';
import { copy } from '../ops/elementwise.ts';
import type { State } from '../state.ts';
import { TinyVit } from '../testing/tinyVit.ts';
import { compile } from './build.ts';
import { MemoryLimitError } from './plan.ts';
import { prepare } from './prepare.ts';

describe('under a memory limit', () => {
  const vit = new TinyVit(4);
  let state: State;
  beforeAll(async () => {
    state = await vit.state();
  });
  afterAll(() => state.destroy());

  async function step(memory?: number) {
    const [loss] = prepare([vit.loss]);
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
    });
    for (const [name, data] of Object.entries(vit.inputs)) program.write(name, data);
    program.run();
    const result = {
      loss: (await program.collect(['loss'])).loss,
      gradients: await state.readTrainables('gradients'),
      report: program.report,
    };
    program.destroy();
    return result;
  }

  test('values are computed again, as few as it takes, and come out the same to the last bit', async () => {
    const whole = await step();
    expect(whole.report.recomputed).toBeNull();
    let before = 0;
    for (const share of [0.85, 0.65]) {
      const memory = Math.floor(share * whole.report.arenaBytes);
      const less = await step(memory);
      expect(less.report.arenaBytes).toBeLessThanOrEqual(memory);
      const { segments, of, flops } = less.report.recomputed!;
      expect(segments).toBeGreaterThan(before);
      expect(segments).toBeLessThanOrEqual(of);
      expect(flops).toBe(less.report.flops - whole.report.flops);
      expect(flops).toBeGreaterThan(0);
      expect(flops).toBeLessThan(whole.report.flops / 2);
      expect(less.loss).toEqual(whole.loss);
      expect(less.gradients).toEqual(whole.gradients);
      before = segments;
    }
  });

  test('a limit that nothing can hold is refused with what would do', async () => {
    await expect(step(10_000)).rejects.toThrow(MemoryLimitError);
    await expect(step(10_000)).rejects.toThrow(/need at least \d+ MB.*smaller batch/);
  });
});
