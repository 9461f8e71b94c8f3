import { describe, expect, test } from 'vitest';
import { UsageError } from './args.ts';
import { parseSample } from './sampleArgs.ts';

describe('graft sample', () => {
  test('defaults', () => {
    expect(parseSample(['--out', 'x'])).toMatchObject({
      backbone: 'graft-dit',
      sampler: 'ddim',
      steps: 25,
      seed: 1,
      class: 'all',
      count: 16,
      guidance: { scale: 3, apg: null, interval: [0, 1], rescale: 0, autoScale: 1 },
    });
    expect(parseSample(['--help'])).toBeNull();
  });

  test('a rule with its own settings, and others beside it', () => {
    const args = parseSample(
      '--out x --rule apg --scale 5 --eta 0.2 --limit none --momentum=-0.7 --from 0.1 --weak y'.split(' '),
    );
    expect(args?.guidance).toMatchObject({
      scale: 5,
      apg: { eta: 0.2, limit: Number.POSITIVE_INFINITY, momentum: -0.7 },
      interval: [0.1, 1],
      autoScale: 2,
    });
  });

  test.each([
    '',
    '--out x --rule best',
    '--out x --steps many',
    '--out x --sampler plms',
    '--out x --colour',
  ])('refuses %j', (line) => {
    expect(() => parseSample(line.split(' ').filter(Boolean))).toThrow(UsageError);
  });
});
