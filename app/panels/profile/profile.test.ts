import { describe, expect, it } from 'vitest';
import type { Machine, RunView } from '../../../workers/protocol.ts';
import { FakeStudio } from '../../testing/fakeStudio.ts';
import { figuresOf } from './figures.ts';
import { profileBlock } from './ProfilePanel.tsx';

describe('figures of a profile', () => {
  const kernel = (label: string, ms: number, flops: number, bytes: number) => ({
    label,
    count: 2,
    ms,
    flops,
    bytes,
  });
  const { rows, whole } = figuresOf({
    step: 4,
    productRate: 4e9,
    kernels: [kernel('copy', 1, 0, 5e6), kernel('matmul', 3, 6e6, 3e6), kernel('clip', 0, 0, 8)],
  });

  it('are sorted, and compared to the rate of a plain product', () => {
    expect(rows.map((r) => r.label)).toEqual(['matmul', 'copy', 'clip']);
    expect(rows[0]).toMatchObject({ share: 0.75, rate: 2e9, ofFloor: 0.5, traffic: 1e9 });
    expect(whole).toMatchObject({ count: 6, ms: 4, share: 1, rate: 1.5e9, ofFloor: 0.375 });
  });

  it('claim nothing where nothing is counted or the time is too short to be told', () => {
    expect(rows[1]).toMatchObject({ rate: null, ofFloor: null });
    expect(rows[2]).toMatchObject({ traffic: null });
    expect(figuresOf({ step: 0, productRate: 1, kernels: [] }).whole).toMatchObject({ ms: 0, share: 0 });
  });
});

describe('where no step can be timed, the panel says why', () => {
  const run = (state: RunView['state']) => ({ state }) as RunView;
  const machine = (features: string[], backend: Machine['backend'] = 'webgpu') =>
    ({ backend, features }) as Machine;

  it.each([
    [machine([], 'wasm'), run('done'), 'The processor trains here'],
    [machine([]), run('running'), 'no GPU timestamps'],
    [machine(['timestamp-query']), null, 'Choose or start a run'],
    [machine(['timestamp-query']), run('imported'), 'without pictures'],
    [machine(['timestamp-query']), run('preparing'), 'after the preparation'],
  ])('%#', (at, of, reason) => {
    expect(profileBlock(at, of)).toContain(reason);
  });

  it('nothing stands in the way of a run that trains, rests or is done', () => {
    for (const state of ['running', 'paused', 'stopped', 'done'] as const)
      expect(profileBlock(machine(['timestamp-query']), run(state))).toBeNull();
  });
});

it('the stand-in has a profile whose kernels come the longest first', async () => {
  const studio = new FakeStudio('paused', 1);
  await studio.open(() => undefined);
  const { kernels } = await studio.profile('r1');
  expect(kernels.map((k) => k.ms)).toEqual(kernels.map((k) => k.ms).sort((a, b) => b - a));
});
