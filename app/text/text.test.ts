import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Setting } from '../../models/describe.ts';
import { backbones } from '../testing/fakeCatalogue.ts';
import { classColour, inkOn, ramp } from './colour.ts';
import { csv } from './csv.ts';
import { bytes, compact, duration, figure, interval, percent, plural } from './format.ts';
import { fromSlider, NOTCHES, nudge, parse, toSlider } from './knob.ts';
import { effectiveRank } from './spectrum.ts';
import { isTarget, presetOf, targeted, toggleTarget } from './targets.ts';

const setting = (rest: Partial<Setting>): Setting => ({
  key: 'k',
  label: 'K',
  kind: 'number',
  default: 1,
  help: '',
  primary: true,
  live: false,
  ...rest,
});

describe('format', () => {
  it('says numbers as a person reads them', () => {
    expect(compact(4_652_008)).toBe('4.65 M');
    expect(bytes(1_634_000)).toBe('1.63 MB');
    expect(percent(0.9452)).toBe('94.5 %');
    expect(interval(0.912, 0.966)).toBe('91.2–96.6 %');
    expect([duration(8.4), duration(125), duration(4320)]).toEqual(['8 s', '2 min 05 s', '1 h 12 min']);
    expect([plural(1, 'image'), plural(1500, 'image')]).toEqual(['1 image', '1,500 images']);
  });

  it('writes a setting so that it reads back unchanged', () => {
    expect([figure(0.002), figure(1e-5), figure(0), figure(8)]).toEqual(['0.002', '1e-5', '0', '8']);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: -7, max: 3 }), (digits, power) => {
        const value = Number(`${digits}e${power}`);
        expect(Number(figure(value))).toBeCloseTo(value, 12);
      }),
    );
  });
});

describe('knob', () => {
  const rate = setting({ min: 1e-5, max: 0.1, scale: 'log' });
  const rank = setting({ kind: 'integer', min: 1, max: 64, scale: 'log' });
  const drop = setting({ min: 0, max: 0.9, step: 0.05 });

  it('comes back to the value it was put on, within a notch', () => {
    fc.assert(
      fc.property(fc.constantFrom(rate, rank, drop), fc.integer({ min: 0, max: NOTCHES }), (s, notch) => {
        const value = fromSlider(s, notch);
        expect(value).toBeGreaterThanOrEqual(s.min!);
        expect(value).toBeLessThanOrEqual(s.max!);
        expect(fromSlider(s, toSlider(s, value))).toBeCloseTo(value, 10);
      }),
    );
  });

  it('steps by doubling ranks and by 1, 2, 5 in rates', () => {
    expect([nudge(rank, 8, 1), nudge(rank, 8, -1), nudge(rank, 64, 1), nudge(rank, 1, -1)]).toEqual([
      16, 4, 64, 1,
    ]);
    expect([nudge(rate, 0.002, 1), nudge(rate, 0.002, -1), nudge(rate, 0.0013, 1)]).toEqual([
      0.005, 0.001, 0.002,
    ]);
    expect(nudge(drop, 0.1, 1)).toBe(0.15);
  });

  it('says what is wrong with what was typed', () => {
    expect(parse(rate, '1e-3')).toEqual({ value: 0.001 });
    expect(parse(drop, '0,5')).toEqual({ value: 0.5 });
    expect(parse(rank, '2.5')).toEqual({ problem: 'This needs a whole number.' });
    expect(parse(rank, '500')).toEqual({ problem: 'This goes from 1 to 64.' });
    expect(parse(rank, '')).toEqual({ problem: 'This needs a number.' });
  });
});

describe('targets', () => {
  const vit = backbones.find((b) => b.id === 'vit-tiny')!;

  it('matches whole paths and suffixes at a dot, as PEFT does', () => {
    const module = vit.modules[0]!;
    expect(isTarget(module, ['q_proj'])).toBe(true);
    expect(isTarget(module, ['proj'])).toBe(false);
    expect(isTarget(module, [module.path])).toBe(true);
    expect(targeted(vit, ['all-linear'])).toHaveLength(72);
  });

  it('finds the preset again after one module left and came back', () => {
    const preset = vit.presets[0]!;
    const without = toggleTarget(vit, preset.targets, vit.modules[0]!.path);
    expect(targeted(vit, without)).toHaveLength(23);
    expect(presetOf(vit, without)).toBeUndefined();
    expect(presetOf(vit, toggleTarget(vit, without, vit.modules[0]!.path))?.id).toBe('qv');
  });
});

describe('pictures', () => {
  it('gives a class one colour and neighbours different ones', () => {
    const [a, b] = [classColour('first class'), classColour('second class')];
    expect(a).not.toBe(b);
    expect(classColour('first class')).toBe(a);
  });

  it('writes readable ink on every shade of the ramp', () => {
    const light = (c: number[]) => {
      const [r, g, b] = c.map((v) =>
        v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    for (let t = 0; t <= 1; t += 0.01) {
      const colour = ramp(t);
      const ground = light(colour);
      const contrast = inkOn(colour) === '#fff' ? 1.05 / (ground + 0.05) : (ground + 0.05) / 0.05;
      expect(contrast).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('counts directions in use', () => {
    expect(effectiveRank([1, 1, 1, 1])).toBeCloseTo(4);
    expect(effectiveRank([1, 0, 0, 0])).toBeCloseTo(1);
    expect(effectiveRank([0, 0])).toBe(0);
  });
});

it('writes CSV that a spreadsheet does not run', () => {
  expect(csv([['=1+1', 'a,"b"', 2, null]])).toBe(`'=1+1,"a,""b""",2,\r\n`);
});
