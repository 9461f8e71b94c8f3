import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Turns } from './browser.ts';
import { contestResult, disagreement, page, variants } from './contest.ts';
import { growthSvg, perWork } from './growth.ts';
import type { Measured } from './measure.ts';
import { modelFlops, specOf } from './model.ts';
import { benchmarksPage } from './page.ts';
import { contestText, markdownTable, stepTable } from './report.ts';
import { pageFile, readBenchmarks } from './store.ts';

test('losses are held against the first engine and what is known; one that is no number never agrees', () => {
  expect(
    disagreement(
      [],
      [
        [2, 1],
        [2.001, 1],
      ],
    ),
  ).toBeCloseTo(5e-4, 6);
  expect(
    disagreement(
      [2, 1.1, 7],
      [
        [2, 1],
        [2.001, 1],
      ],
    ),
  ).toBeCloseTo(0.1, 6);
  expect(disagreement([], [[2], [Number.NaN]])).toBe(Number.POSITIVE_INFINITY);
});

const none = { dispatches: 1, passes: 1, submits: 1, buffers: 0, groups: 0, pipelines: 0, writes: 1 };
const measured = (ms: number): Measured => ({
  losses: [2, 1, 0.5],
  steps: [9 * ms, 2 * ms, ms],
  forwards: [ms, ms / 2],
  perStep: none,
  madeLate: 0,
  peakBytes: 4e6,
});

test('a contest compares medians to the floor and to the peers, and says who was left out', () => {
  const spec = specOf('vit', 'reduced', { blocks: 2 });
  const floor = {
    tiles: [
      { name: 'slow', rates: [1, 2] },
      { name: 'fast', rates: [3, 4] },
    ],
    best: { name: 'fast', rates: [3.5], flops: modelFlops(spec).step / 2 },
    shape: [1, 2, 3],
    adapter: 'a chip',
  };
  const names = ['floor', ...variants.map((v) => v.name), 'jax-js', 'tfjs'];
  const ours = new Set(variants.map((v) => v.name));
  const entries = names.map((name) => ({ name, file: ours.has(name) ? page('lora.page.ts') : '', args: {} }));
  const outcomes = [
    { result: floor, processor: [9, 9, 0.4] },
    ...[100, 80, 50, 300].map((ms) => ({ result: measured(ms), processor: [1, 1, 1] })),
    { result: null, processor: [], error: 'no such shape' },
  ];
  const r = contestResult('vit-other', spec, entries, outcomes);
  const share = modelFlops(spec).step / 3.5e6 / 100;
  expect(r.floor).toMatchObject({ gflops: 3.5, tile: 'fast', share, shares: [share], processor_share: 0.8 });
  expect(r.runs.map((x) => [x.engine, x.median_ms])).toEqual([
    ['graft', 100],
    ['graft', 80],
    ['graft', 50],
    ['jax-js', 300],
  ]);
  expect(stepTable(r)[3]).toContain('6.00×');
  expect(contestText(r)).toContain('tfjs is left out: no such shape');
});

test('docs/benchmarks.md is what the measurements say', () => {
  expect(readFileSync(pageFile, 'utf8')).toBe(benchmarksPage(readBenchmarks()));
});

test('growth is told for each operation, and drawn', () => {
  const point = (axis: 'batch' | 'rank', value: number, gflop: number, ms: number) => ({
    axis,
    value,
    gflop,
    ms,
  });
  const points = [
    point('batch', 1, 1, 10),
    point('batch', 4, 4, 32),
    point('rank', 1, 2, 20),
    point('rank', 8, 4, 60),
  ];
  expect(points.map((p) => perWork(points, p))).toEqual([1, 0.8, 1, 1.5]);
  const svg = growthSvg({ base: specOf('bert'), points });
  expect(svg.match(/<circle/g)).toHaveLength(4);
  expect(svg).not.toMatch(/NaN|Infinity/);
});

test('a table in Markdown', () => {
  expect(
    markdownTable([
      ['a', 'b'],
      ['1', '2'],
    ]),
  ).toBe('| a | b |\n|---|--:|\n| 1 | 2 |');
});

test('nobody begins before all are there, and then they go round', async () => {
  const turns = new Turns(2);
  const order: string[] = [];
  const page = async (name: string, rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      await turns.take(name);
      order.push(name);
      await Promise.resolve();
    }
    turns.leave(name);
  };
  const first = page('a', 3);
  await Promise.resolve();
  expect(order).toEqual([]);
  await Promise.all([first, page('b', 2)]);
  expect(order).toEqual(['a', 'b', 'a', 'b', 'a']);
});
