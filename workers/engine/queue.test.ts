import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RunView } from '../protocol.ts';
import { moveBefore, queueOf } from './queue.ts';

const run = (id: string, state: RunView['state'], place?: number, createdAt = 0) =>
  ({ id, state, createdAt, ...(place === undefined ? {} : { place }) }) as RunView;

test('waiting runs stand by place, those without one behind them by age', () => {
  const runs = [
    run('late', 'queued', undefined, 2),
    run('early', 'queued', undefined, 1),
    run('second', 'queued', 4),
    run('trains', 'running', 0),
    run('first', 'queued', -1),
  ];
  expect(queueOf(runs).map(({ id }) => id)).toEqual(['first', 'second', 'early', 'late']);
});

test('a run moves before another, to the end, or to the front where the other has begun', () => {
  const ids = ['a', 'b', 'c'];
  expect(moveBefore(ids, 'c', 'a')).toEqual(['c', 'a', 'b']);
  expect(moveBefore(ids, 'a', 'c')).toEqual(['b', 'a', 'c']);
  expect(moveBefore(ids, 'a', null)).toEqual(['b', 'c', 'a']);
  expect(moveBefore(ids, 'b', 'begun')).toEqual(['b', 'a', 'c']);
  expect(moveBefore(ids, 'begun', 'a')).toEqual(ids);
});

test('no move loses or doubles a run, and the others keep their order', () => {
  const ids = ['a', 'b', 'c', 'd', 'e'];
  fc.assert(
    fc.property(fc.constantFrom(...ids, 'x'), fc.constantFrom(...ids, 'x', null), (id, before) => {
      const moved = moveBefore(ids, id, before);
      expect([...moved].sort()).toEqual(ids);
      expect(moved.filter((other) => other !== id)).toEqual(ids.filter((other) => other !== id));
    }),
  );
});
