import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunView } from '../../../workers/protocol.ts';
import { alike, chosenRuns } from '../../stores/compare.ts';
import { catalogue } from '../../testing/fakeCatalogue.ts';
import { wilson } from '../../testing/fakeData.ts';
import { axisOf } from './axis.ts';
import { mixed } from './ComparePanel.tsx';
import { differing, sideOf } from './differing.ts';
import { bestOf, figureOf } from './figures.ts';
import { paretoFront, stairs } from './pareto.ts';
import { comparisonCsv, comparisonLatex, latexText, order } from './tables.ts';
import { apart, epochOf } from './ValidationCurves.tsx';

interface Rest {
  settings?: RunView['plan']['settings'];
  figures?: Partial<RunView['figures']>;
  test?: RunView['test'];
  hash?: string;
  state?: RunView['state'];
  method?: string;
}

const run = (
  id: string,
  { settings = {}, figures = {}, test, hash = 'h1', state = 'done', method = 'lora' }: Rest = {},
) =>
  ({
    id,
    name: `run ${id}`,
    plan: { dataset: 'd', backbone: 'efficientnet-lite0', method, settings },
    datasetName: 'pets',
    dataHash: hash,
    createdAt: id.charCodeAt(0),
    state,
    progress: { unit: 'steps', done: 10, total: 40 },
    ...(test ? { test } : {}),
    figures: { trainableParameters: null, peakBytes: null, fileBytes: null, stepMs: null, ...figures },
  }) as unknown as RunView;

describe('the Pareto front', () => {
  const better = { x: 'less', y: 'more' } as const;

  it('leaves out what another beats on one axis and equals on the other', () => {
    const points = [
      { x: 1, y: 1 },
      { x: 2, y: 3 },
      { x: 3, y: 3 },
      { x: 4, y: 2 },
      { x: 5, y: 5 },
    ];
    expect(paretoFront(points, better).map((p) => p.x)).toEqual([1, 2, 5]);
    expect(paretoFront(points, { x: 'more', y: 'less' }).map((p) => p.x)).toEqual([1, 4, 5]);
  });

  it('is never empty, and each point off it is beaten by one on it', () => {
    const point = fc.record({ x: fc.integer({ min: 0, max: 5 }), y: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 12 }), (points) => {
        const front = paretoFront(points, better);
        for (const p of points)
          expect(
            front.includes(p) || front.some((f) => f.x <= p.x && f.y >= p.y && (f.x < p.x || f.y > p.y)),
          ).toBe(true);
      }),
    );
  });

  it('is drawn as the stairs of what is reached between its points', () => {
    const front = [
      { x: 1, y: 1 },
      { x: 2, y: 3 },
    ];
    expect(stairs(front, 'less')[1]).toEqual({ x: 2, y: 1 });
    expect(stairs(front, 'more')[1]).toEqual({ x: 1, y: 3 });
  });
});

describe('what differs', () => {
  it('lists settings that are not the same in all runs, in the order of the form, and no other', () => {
    const runs = [
      run('a', { settings: { r: 4, lr: 0.002, epochs: 3, target_modules: ['conv_pw', 'conv_pwl'] } }),
      run('b', { settings: { r: 8, lr: 0.002, epochs: 5, target_modules: ['conv_pw', 'conv_pwl'] } }),
      run('c', { settings: { lr: 0.002, epochs: 5 }, method: 'linear-probe' }),
    ];
    const found = differing(runs, catalogue);
    expect(found.map((d) => d.label)).toEqual(['Method', 'Rank', 'Epochs']);
    expect(found[1]!.words).toEqual(['4', '8', null]);
    expect(sideOf(found, 2)).toBe('Method Linear probe, Epochs 5');
    expect(differing(runs.slice(0, 1), catalogue)).toEqual([]);
  });

  it('tells two versions of a data set apart, and says that they do not compare', () => {
    const runs = [run('a', { hash: 'aaaaaaaa' }), run('b', { hash: 'bbbbbbbb' })];
    expect(differing(runs, catalogue)[0]!.words).toEqual(['pets aaaaaa', 'pets bbbbbb']);
    expect(mixed(runs)).toContain('different data');
    expect(mixed([run('a', { settings: { seed: 1 } }), run('b', { settings: { seed: 2 } })])).toContain(
      'chance',
    );
    expect(mixed([run('a'), run('b')])).toBeNull();
  });
});

it('compares by itself what ended on the same data and backbone as the run on the stage', () => {
  const runs = [run('d', { hash: 'h2' }), run('c', { state: 'failed' }), run('b'), run('a')];
  const ids = (selected: string | null, picked: string[] | null) =>
    chosenRuns(runs, selected, picked).map((r) => r.id);
  expect(ids('b', null)).toEqual(['a', 'b']);
  expect(ids('d', null)).toEqual(['d']);
  expect(ids('c', null)).toEqual(['d']);
  expect(ids('b', ['c', 'a', 'gone'])).toEqual(['a', 'c']);
  expect(alike(runs[0]!, runs[2]!)).toBe(false);
});

describe('the table', () => {
  const runs = [
    run('a', { settings: { r: 10 }, test: wilson(90, 100), figures: { trainableParameters: 12_000 } }),
    run('b', { settings: { r: 4 }, test: wilson(80, 100), figures: { fileBytes: 50_000 } }),
    run('c_1', { settings: { r: 2 } }),
  ];
  const differences = differing(runs, catalogue);

  it('sorts by figures and settings as numbers, what is unknown last either way', () => {
    expect(order(runs, differences, { key: 'r', down: false })).toEqual([2, 1, 0]);
    expect(order(runs, differences, { key: 'test', down: true })).toEqual([0, 1, 2]);
    expect(order(runs, differences, { key: 'test', down: false })).toEqual([1, 0, 2]);
    expect(bestOf(figureOf('test'), runs)).toBe(0.9);
    expect(bestOf(figureOf('file'), runs)).toBeNull();
  });

  it('is written as CSV with raw numbers, and nothing where nothing is known', () => {
    const [head, a, , c] = comparisonCsv(runs, differences).split('\r\n');
    expect(head).toMatch(/^run,Rank,test accuracy,test accuracy low,test accuracy high,.*,data hash$/);
    expect(a).toMatch(/^run a,10,0\.9,0\.8\d+,0\.9\d+,,,,12000,,,,,h1$/);
    expect(c).toBe('run c_1,2,,,,,,,,,,,,h1');
  });

  it('is written as LaTeX that compiles: escaped, its best in bold, columns that nobody fills left out', () => {
    const text = comparisonLatex(runs, differences);
    expect(text).toContain('\\begin{tabular}{llrrr}');
    expect(text).toContain('Run & Rank & Test (\\%) & Parameters (k) & File (MB) \\\\');
    expect(text).toMatch(/run a & 10 & \\textbf\{90\.0\} \{\\small \[82\.6, 94\.5\]\} & 12\.0 & -- \\\\/);
    expect(text).toContain('run c\\_1 & 2 & -- & -- & -- \\\\');
    expect(latexText('50 % & more\\_{x}^~')).toBe(
      '50 \\% \\& more\\textbackslash{}\\_\\{x\\}\\textasciicircum{}\\textasciitilde{}',
    );
  });
});

describe('axes', () => {
  it('hold every value with few round ticks, and turn logarithmic over a decade', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1e-3, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 6 }),
        (values) => {
          const { place, ticks } = axisOf(values, 4);
          for (const value of values) {
            expect(place(value)).toBeGreaterThanOrEqual(0);
            expect(place(value)).toBeLessThanOrEqual(1);
          }
          expect(ticks.length).toBeLessThanOrEqual(9);
        },
      ),
    );
    expect(axisOf([12_000, 400_000], 4)).toMatchObject({
      log: true,
      ticks: [10_000, 30_000, 100_000, 300_000],
    });
    expect(axisOf([0.8, 0.9], 4).ticks).toEqual([0.8, 0.85, 0.9]);
  });

  it('lay runs with other batches over each other by epochs', () => {
    expect(epochOf(run('a', { settings: { epochs: 8 } }), 10)).toBe(2);
    expect(epochOf(run('a'), 10)).toBeNull();
  });

  it('keep the numbers at the ends of curves from lying over each other', () => {
    expect(apart([10, null, 12, 40], 10)).toEqual([6, null, 16, 40]);
    const heights = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 8 });
    fc.assert(
      fc.property(heights, (ys) => {
        const moved = (apart(ys, 13) as number[]).sort((a, b) => a - b);
        for (let i = 1; i < moved.length; i++) expect(moved[i]! - moved[i - 1]!).toBeGreaterThan(12.999);
      }),
    );
  });
});
