import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RunView, StepPoint, StudioEvent } from '../protocol.ts';
import { EventStream } from './events.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const point = (step: number): StepPoint => ({ step, loss: 0, accuracy: 0, lr: 0, gradNorm: 0, ms: 0 });
const points = (step: number, epoch = 1): StudioEvent => ({
  kind: 'points',
  run: 'a',
  epoch,
  steps: [point(step)],
  evals: [],
});
const run = (id: string, name: string) => ({ kind: 'run', run: { id, name } as RunView }) as const;

test('delivers at most ten times a second, the newest of each kind, and loses no point', () => {
  const deliveries: { at: number; event: StudioEvent }[] = [];
  const stream = new EventStream(
    (event) => deliveries.push({ at: Date.now(), event }),
    () => Date.now(),
  );
  const begun = Date.now();
  for (let step = 1; step <= 500; step++) {
    stream.send(points(step));
    stream.send(run('a', `step ${step}`));
    vi.advanceTimersByTime(2);
  }
  vi.advanceTimersByTime(200);
  const times = new Set(deliveries.map(({ at }) => at));
  expect(times.size).toBeLessThanOrEqual((Date.now() - begun) / 100 + 1);
  const steps = deliveries.flatMap(({ event }) => (event.kind === 'points' ? event.steps : []));
  expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  expect(deliveries.at(-1)!.event).toEqual(run('a', 'step 500'));
});

test('keeps lives of a run and things of other names apart, and lets single events through', () => {
  const got: StudioEvent[] = [];
  const stream = new EventStream((event) => got.push(event));
  const notice: StudioEvent = { kind: 'notice', error: { name: 'n', message: 'm' } };
  for (const event of [points(1), points(2, 2), run('a', 'x'), run('b', 'y'), notice, notice, run('a', 'z')])
    stream.send(event);
  expect(got).toEqual([]);
  stream.flush();
  expect(got).toEqual([points(1), points(2, 2), run('a', 'z'), run('b', 'y'), notice, notice]);
});
