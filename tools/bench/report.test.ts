import { expect, test } from 'vitest';
import { Turns } from './browser.ts';
import { disagreement, type Engine } from './report.ts';

const engine = (name: string, losses: number[]): Engine => ({
  name,
  losses,
  steps: losses.map(() => 1),
  forwards: [],
  perStep: { dispatches: 1, passes: 1, submits: 1, buffers: 0, groups: 0, pipelines: 0, writes: 1 },
  peakBytes: 0,
  processor: [],
});

test('losses are held against the first engine and what is known; one that is no number never agrees', () => {
  const same = [engine('a', [2, 1]), engine('b', [2.001, 1])];
  expect(disagreement({ known: [] }, same)).toBeCloseTo(5e-4, 6);
  expect(disagreement({ known: [2, 1.1, 7] }, same)).toBeCloseTo(0.1, 6);
  expect(disagreement({ known: [] }, [engine('a', [2]), engine('b', [Number.NaN])])).toBe(
    Number.POSITIVE_INFINITY,
  );
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
