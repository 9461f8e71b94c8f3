import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { EvalPoint, StepPoint } from '../../workers/protocol.ts';
import { FakeStudio } from '../testing/fakeStudio.ts';
import { mendCompare } from './compare.ts';
import { asStudioError } from './connection.ts';
import { append, columns, emptyCurves } from './curves.ts';
import { edit, openSample, removeDataset, take, undoEdit, useData } from './data.ts';
import { open, receive } from './events.ts';
import { trains, useMachine } from './machine.ts';
import { cutMerge, mergeable, mergeRuns, useMerge, weigh } from './merge.ts';
import { formOf, mendPlan, planOf, settingsOf, splitForm, turn, usePlan } from './plan.ts';
import {
  canResume,
  curvesOf,
  hasResult,
  profile,
  remove,
  selectedRun,
  train,
  turnLive,
  useRuns,
} from './runs.ts';
import { mendView, useView } from './view.ts';

const point = (step: number): StepPoint => ({
  step,
  loss: 1 / step,
  accuracy: 0.5,
  lr: 0.1,
  gradNorm: 1,
  ms: 10,
});
const val = (step: number): EvalPoint => ({ step, split: 'val', loss: 1, accuracy: 0.6 });

beforeEach(() => {
  for (const store of [useData, useMachine, usePlan, useRuns, useView] as const)
    (
      store as unknown as { setState: (s: unknown, replace: true) => void; getInitialState: () => unknown }
    ).setState((store as unknown as { getInitialState: () => unknown }).getInitialState(), true);
});

const settled = () => vi.waitFor(() => expect(usePlan.getState().estimate).not.toBeNull());

describe('curves', () => {
  it('appends, and lets a resumed run rewrite what it replays', () => {
    const curves = emptyCurves();
    append(curves, 0, [1, 2, 3, 4].map(point), [val(2), val(4)]);
    append(curves, 1, [point(3)], [val(4)]);
    expect(curves.steps.map((p) => p.step)).toEqual([1, 2, 3]);
    expect(curves.evals.map((p) => p.step)).toEqual([2, 4]);
  });

  it('drops points of an older epoch', () => {
    const curves = emptyCurves();
    append(curves, 2, [point(1)], []);
    expect(append(curves, 1, [point(2)], [])).toBe(false);
    expect(curves.steps).toHaveLength(1);
  });

  it('makes columns of equal length, with holes where a series has no point', () => {
    const curves = emptyCurves();
    append(curves, 0, [1, 2, 3].map(point), [val(2)]);
    const table = columns(curves, 'accuracy', 5);
    expect(table.step).toEqual([1, 2, 3]);
    expect(table.val).toEqual([null, 0.6, null]);
    // A constant series stays itself under a debiased mean.
    for (const value of table.smooth) expect(value).toBeCloseTo(0.5, 10);
  });

  it('keeps a long run to a bounded number of points, the last step among them', () => {
    const curves = emptyCurves();
    append(
      curves,
      0,
      Array.from({ length: 20_001 }, (_, i) => point(i + 1)),
      [],
    );
    const table = columns(curves, 'loss', 5);
    expect(table.step.length).toBeLessThanOrEqual(2000);
    expect(table.step.at(-1)).toBe(20_001);
  });
});

describe('the path through the studio', () => {
  it('trains the sample in two commands', async () => {
    await open(new FakeStudio('empty', 1));
    await openSample('fashion');
    await settled();
    expect(planOf(usePlan.getState())).toMatchObject({
      dataset: 'fashion',
      backbone: 'efficientnet-lite0',
      method: 'lora',
    });
    await train();
    expect(useView.getState().place).toBe('train');
    const run = () => selectedRun(useRuns.getState())!;
    await vi.waitFor(() => expect(run().state).toBe('done'), { timeout: 20_000 });
    expect(hasResult(run())).toBe(true);
    expect(curvesOf(run().id).steps.length).toBe(280);
  });

  it('keeps turned knobs apart from defaults, and estimates follow', async () => {
    await open(new FakeStudio('data', 1));
    await settled();
    const before = usePlan.getState().estimate!.trainableParameters;
    turn('r', 16);
    expect(settingsOf(usePlan.getState())['r']).toBe(16);
    await vi.waitFor(() => expect(usePlan.getState().estimate!.trainableParameters).toBeGreaterThan(before));
    turn('r', undefined);
    expect(settingsOf(usePlan.getState())['r']).toBe(8);
  });

  it('edits a data set and takes the edit back', async () => {
    await open(new FakeStudio('data', 1));
    await edit('fashion', { kind: 'merge-classes', indices: [0, 6], name: 'Tops' });
    expect(useData.getState().datasets[0]!.classes).toHaveLength(9);
    await undoEdit('fashion');
    expect(useData.getState().datasets[0]!.classes).toHaveLength(10);
  });

  it('removes and restores runs and data sets', async () => {
    await open(new FakeStudio('done', 1));
    const restoreRun = await remove('r1');
    expect(useRuns.getState().runs.map((r) => r.id)).toEqual(['r0']);
    await restoreRun!();
    expect(
      useRuns
        .getState()
        .runs.map((r) => r.id)
        .sort(),
    ).toEqual(['r0', 'r1']);
    const restoreData = await removeDataset('fashion');
    expect(usePlan.getState().dataset).toBeNull();
    await restoreData!();
    expect(usePlan.getState().dataset).toBe('fashion');
  });

  it('says what a drop was taken for, or why it was nothing', async () => {
    await open(new FakeStudio('empty', 1));
    const file = (path: string) => ({ path, file: new File([], path) });
    await take([file('readme.txt')]);
    expect(useData.getState().understood?.kind).toBe('nothing');
    await take([file('signs/0/a.jpg'), file('signs/1/b.jpg')]);
    expect(useData.getState().understood?.kind).toBe('dataset');
    expect(planOf(usePlan.getState())?.dataset).toBe(useData.getState().datasets[0]!.id);
  });

  it('keeps the profile of each run', async () => {
    await open(new FakeStudio('paused', 1));
    const asked = profile('r1');
    expect(useRuns.getState().profiles['r1']).toBe('running');
    await asked;
    expect(useRuns.getState().profiles['r1']).toMatchObject({ step: 120 });
  });

  it('marks a live knob on the curves', async () => {
    await open(new FakeStudio('paused', 1));
    await vi.waitFor(() => expect(curvesOf('r1').steps.length).toBeGreaterThan(0));
    await turnLive('r1', 'lr', 0.001);
    expect(curvesOf('r1').journal.at(-1)).toMatchObject({ knob: 'lr', value: 0.001 });
    expect(canResume(selectedRun(useRuns.getState())!)).toBe(true);
  });
});

describe('where things go wrong', () => {
  it('stands on the page when the engine does not open', async () => {
    await open(new FakeStudio('broken'));
    expect(useMachine.getState()).toMatchObject({ status: 'failed', error: { name: 'DeviceFailed' } });
  });

  it('falls back to the probe where only it can train', async () => {
    await open(new FakeStudio('nogpu', 1));
    expect(usePlan.getState().method).toBe('linear-probe');
    expect(trains(useMachine.getState().machine, 'lora')).toBe(false);
  });

  it('keeps a lost device in sight until it is dismissed', () => {
    receive({ kind: 'device-lost', recovered: true, error: { name: 'DeviceLost', message: 'Lost.' } });
    expect(useMachine.getState().lost?.recovered).toBe(true);
  });

  it('makes three sentences of anything thrown', () => {
    expect(asStudioError(Object.assign(new Error('a'), { advice: 'b' }))).toEqual({
      name: 'Error',
      message: 'a',
      advice: 'b',
    });
    expect(asStudioError('c')).toEqual({ name: 'Error', message: 'c' });
  });
});

describe('what is kept between visits', () => {
  it('mends an unknown or broken record instead of trusting it', () => {
    expect(mendView({ theme: 'purple', dockOpen: 'yes', foldOpen: true })).toEqual({ foldOpen: true });
    expect(mendView(null)).toEqual({});
    expect(mendPlan({ dataset: 4, turned: { 'a/b': { r: 2 }, c: 'x' } })).toEqual({
      dataset: null,
      backbone: null,
      method: null,
      turned: { 'a/b': { r: 2 } },
    });
  });
});

it('keeps at most five knobs in sight and loses none', async () => {
  await open(new FakeStudio('data', 1));
  const form = formOf(useMachine.getState().catalogue, { method: 'lora', backbone: null });
  const { primary, folded } = splitForm(form);
  expect(primary).toHaveLength(5);
  expect(primary.length + folded.length).toBe(form.length);
  expect(splitForm([...form, ...form].map((s) => ({ ...s, primary: true }))).primary).toHaveLength(5);
});

describe('the comparison', () => {
  it('keeps what is well formed of what was chosen before', () => {
    expect(
      mendCompare({
        picked: ['a'],
        sort: { key: 'test', down: true },
        x: 'file',
        y: 'beauty',
        curve: 'loss',
      }),
    ).toEqual({ picked: ['a'], sort: { key: 'test', down: true }, x: 'file', curve: 'loss' });
    expect(mendCompare({ picked: 'a', sort: { key: 1 } })).toEqual({});
    expect(mendCompare(null)).toEqual({});
  });
});

describe('a merge', () => {
  it('adds runs of one backbone with even shares, and asks again for every weight and cut', async () => {
    await open(new FakeStudio('compare', 1));
    const { runs } = useRuns.getState();
    expect(mergeable(runs, []).length).toBe(runs.length);
    mergeRuns(['c2', 'c3']);
    expect(mergeable(runs, useMerge.getState().parts).some((run) => run.id === 'c2')).toBe(false);
    expect(useMerge.getState().parts.map((p) => p.weight)).toEqual([0.5, 0.5]);
    await vi.waitFor(() => expect(useMerge.getState().found?.width).toBe(6));
    weigh('c3', -0.2);
    cutMerge(3);
    await vi.waitFor(() => expect(useMerge.getState().found?.width).toBe(3));
    expect(useMerge.getState()).toMatchObject({ busy: false, whole: 6, error: null });
    expect(useMerge.getState().found!.scores.map((s) => s.run)).toEqual(['c2', 'c3']);
  });
});
