import { describe, expect, test } from 'vitest';
import { levelsOf } from '../samplers/levels.ts';
import { gaussian } from '../samplers/noise.ts';
import { readSchedule } from '../samplers/schedule.ts';
import { eluCdDefaults, eluCdPush, eluCdSchedule, posteriorVariance, scoreGradient } from './classifier.ts';
import { apgDefaults, Guider, guidanceOf, guidanceRules, needs, noGuidance } from './guide.ts';
import {
  apgUpdate,
  cfg,
  deviations,
  difference,
  dots,
  inInterval,
  limited,
  norms,
  rescaled,
  split,
  steer,
} from './rules.ts';
import { saturation, statisticsOf } from './statistics.ts';

const COUNT = 3;
const [conditional, unconditional, weak] = [1, 2, 3].map((seed) => gaussian(COUNT * 48, seed, 0, 0));
const delta = difference(conditional, unconditional);
const far = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((n, v, i) => Math.max(n, Math.abs(v - b[i])), 0);
const plain = { eta: 1, limit: Number.POSITIVE_INFINITY, momentum: 0 };
const { levels } = levelsOf(readSchedule({ beta_schedule: 'squaredcos_cap_v2' }), 'ddim', 10);
const guiderOf = (guidance: typeof noGuidance, gradient?: (c: Float32Array) => Float32Array) =>
  new Guider({ guidance, levels, count: COUNT, channels: 3, gradient });

describe('adaptive projected guidance', () => {
  test('without projection, limit and momentum it is classifier-free guidance', () => {
    const { update } = apgUpdate(conditional, delta, null, plain, COUNT);
    expect(far(steer(conditional, update, 7), cfg(conditional, unconditional, 7))).toBeLessThan(1e-5);
  });

  test('at eta 0 the update stands across the prediction', () => {
    const { update } = apgUpdate(conditional, delta, null, { ...plain, eta: 0 }, COUNT);
    const along = dots(update, conditional, COUNT);
    const lengths = norms(update, COUNT).map((n, s) => n * norms(conditional, COUNT)[s]);
    along.forEach((d, s) => {
      expect(Math.abs(d) / lengths[s]).toBeLessThan(1e-6);
    });
  });

  test('the update is never longer than the limit', () => {
    const lengths = norms(delta, COUNT);
    const limit = (Math.min(...lengths) + Math.max(...lengths)) / 2;
    const found = norms(limited(delta, limit, COUNT), COUNT);
    found.forEach((n, s) => {
      expect(n).toBeCloseTo(Math.min(lengths[s], limit), 4);
    });
    for (const eta of [0, 0.5, 1])
      for (const n of norms(
        apgUpdate(conditional, delta, null, { ...plain, eta, limit }, COUNT).update,
        COUNT,
      ))
        expect(n).toBeLessThanOrEqual(limit * (1 + 1e-6));
  });

  test('momentum adds the update before, as it was', () => {
    const { carried } = apgUpdate(conditional, delta, weak, { ...plain, momentum: -0.5 }, COUNT);
    expect(
      far(
        carried,
        delta.map((d, i) => d - 0.5 * weak[i]),
      ),
    ).toBeLessThan(1e-6);
  });

  test('a sampling run begins without momentum and carries it from step to step', async () => {
    const momentum = { ...plain, momentum: -0.5 };
    const guider = guiderOf(guidanceOf('apg', 3, momentum));
    const first = await guider.apply(0, { conditional, unconditional });
    expect(far(first.clean, cfg(conditional, unconditional, 3))).toBeLessThan(1e-5);
    const second = await guider.apply(1, { conditional, unconditional });
    expect(
      far(
        second.clean,
        steer(
          conditional,
          delta.map((d) => d / 2),
          3,
        ),
      ),
    ).toBeLessThan(1e-5);
  });
});

test('every rule gives the conditional prediction at scale 1', async () => {
  for (const rule of guidanceRules) {
    const { clean } = await guiderOf(guidanceOf(rule, 1)).apply(0, { conditional, unconditional });
    expect(far(clean, conditional), rule).toBeLessThan(1e-6);
  }
});

test('parts along and across add up', () => {
  const { parallel, orthogonal } = split(delta, conditional, COUNT);
  expect(
    far(
      parallel.map((p, i) => p + orthogonal[i]),
      delta,
    ),
  ).toBeLessThan(1e-6);
  const squares = (a: Float32Array) => dots(a, a, COUNT);
  squares(delta).forEach((n, s) => {
    expect(squares(parallel)[s] + squares(orthogonal)[s]).toBeCloseTo(n, 3);
  });
});

test('rescaling brings back the contrast of the conditional prediction', () => {
  const guided = cfg(conditional, unconditional, 6);
  expect(far(rescaled(guided, conditional, 0, COUNT), guided)).toBeLessThan(1e-6);
  const back = deviations(rescaled(guided, conditional, 1, COUNT), COUNT);
  expect(far(back, deviations(conditional, COUNT))).toBeLessThan(1e-5);
});

test('an interval asks for the reference inside of it only', () => {
  const guidance = { ...guidanceOf('cfg', 4), interval: [0.2, 0.7] as const };
  const asked = levels.slice(0, -1).map((l) => needs(guidance, l).unconditional);
  expect(asked).toEqual(levels.slice(0, -1).map((l) => inInterval(l, [0.2, 0.7])));
  expect(asked).toContain(true);
  expect(asked[0]).toBe(false);
  expect(needs(guidanceOf('cfg', 1), levels[5]).unconditional).toBe(false);
  expect(needs(noGuidance, levels[5])).toEqual({ unconditional: false, weak: false });
});

test('autoguidance is guidance against the weak prediction, and adds to that against the null condition', async () => {
  const auto = { ...noGuidance, autoScale: 2.5 };
  const { clean } = await guiderOf(auto).apply(0, { conditional, weak });
  expect(far(clean, cfg(conditional, weak, 2.5))).toBeLessThan(1e-6);
  const both = await guiderOf({ ...auto, scale: 3 }).apply(0, { conditional, weak, unconditional });
  expect(
    far(
      both.clean,
      clean.map((c, i) => c + 2 * delta[i]),
    ),
  ).toBeLessThan(1e-5);
});

describe('guidance by a classifier', () => {
  const logits = Float32Array.of(0.5, -1, 2, 1, 0, -2);
  const labels = [2, 0];
  const score = (f: Float32Array, t1: number, t2: number) =>
    labels.reduce((n, y, s) => {
      const own = f.subarray(3 * s, 3 * s + 3);
      return n + t1 * own[y] - Math.log(own.reduce((a, v) => a + Math.exp(t2 * v), 0));
    }, 0);

  test.each([
    [1, 0.5],
    [1, 1],
    [1, 0],
  ])('the gradient of its score at temperatures %d and %d', (t1, t2) => {
    const found = scoreGradient(logits, labels, { jointTemperature: t1, marginTemperature: t2 });
    logits.forEach((_, i) => {
      const at = (h: number) =>
        score(
          logits.map((v, j) => (j === i ? v + h : v)),
          t1,
          t2,
        );
      expect(found[i]).toBeCloseTo((at(0.01) - at(-0.01)) / 0.02, 3);
    });
  });

  test('the schedule is the posterior variance and a sine; scale 0 leaves every bit', async () => {
    const bare = eluCdSchedule(levels, { ...eluCdDefaults, sine: 0 });
    bare.forEach((v, i) => {
      expect(v).toBeCloseTo(posteriorVariance(levels[i], levels[i + 1]), 9);
    });
    expect(eluCdSchedule(levels, eluCdDefaults)[5]).toBeGreaterThan(bare[5]);
    const off = guiderOf({ ...noGuidance, classifier: { ...eluCdDefaults, scale: 0 } }, () => weak);
    expect((await off.apply(3, { conditional })).clean).toEqual(conditional);
  });

  test('it moves the mean of the step by the schedule along the gradient', async () => {
    const classifier = { ...eluCdDefaults, scale: 2 };
    const { clean } = await guiderOf({ ...noGuidance, classifier }, () => weak).apply(4, { conditional });
    const [{ alpha, sigma }, next] = levels.slice(4, 6);
    // x stays, so the step's result moves by this much for each unit of the prediction.
    const perClean = next.alpha - (next.sigma * alpha) / sigma;
    const wanted = eluCdSchedule(levels, classifier)[4];
    expect(
      far(
        difference(clean, conditional).map((d) => d * perClean),
        weak.map((g) => wanted * g),
      ),
    ).toBeLessThan(1e-5);
  });

  test('pushes of preconditioned denoisers fall, with a bump in the middle', () => {
    expect(eluCdPush(0, 20)).toBeCloseTo(0.004, 9);
    expect(eluCdPush(10, 20)).toBeCloseTo(0.004 * (11 / 21) + 0.0012, 9);
  });

  test('needs a gradient', async () => {
    const guider = guiderOf({ ...noGuidance, classifier: eluCdDefaults });
    await expect(guider.apply(0, { conditional })).rejects.toThrow('gradient');
  });
});

test('statistics of a step', () => {
  const guided = cfg(conditional, unconditional, 4);
  const found = statisticsOf(conditional, guided, delta, { count: COUNT, channels: 3 });
  expect(found.push).toBeCloseTo(3 * found.norm, 3);
  expect(found.norm).toBeLessThanOrEqual(found.parallel + found.orthogonal);
  expect(found.clipped).toBeGreaterThan(0);
  expect(found.contrast).toBeGreaterThan(0);
  const nothing = statisticsOf(conditional, conditional, null, { count: COUNT, channels: 4 });
  expect(nothing).toMatchObject({ norm: 0, parallel: 0, orthogonal: 0, push: 0, saturation: null });
});

test('saturation of grey is 0, of pure red 1, of half white half red a half', () => {
  expect(saturation(new Float32Array(12).fill(0.3), 1)).toBe(0);
  expect(saturation(Float32Array.of(1, 1, -1, -1, -1, -1), 1)).toBe(1);
  expect(saturation(Float32Array.of(1, 1, 1, -1, 1, -1), 1)).toBe(0.5);
});

test('defaults of the rules', () => {
  expect(guidanceOf('apg', 5).apg).toBe(apgDefaults);
  expect(guidanceOf('none', 5)).toBe(noGuidance);
});
