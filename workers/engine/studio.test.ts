import 'fake-indexeddb/auto';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunPlan, RunState, StudioEvent } from '../protocol.ts';
import { CpuTrainer } from './cpuSession.ts';
import { browser, fakeReference, fetchFile, pets, type Tab, until } from './testing.ts';
import type { OpenOptions, Trainer } from './trainer.ts';

// A machine with much to do may take long over a training that is short.
vi.setConfig({ testTimeout: 60_000 });

beforeAll(() => {
  vi.stubGlobal('fetch', fetchFile);
});
afterAll(() => {
  vi.unstubAllGlobals();
});

const settings = { image_size: 64, epochs: 4, batch_size: 4 };

async function dataset({ engine }: Tab) {
  const taken = await engine.take(pets(20));
  if (taken.kind !== 'dataset') throw new Error(taken.sentence);
  return taken.dataset;
}

async function planned(tab: Tab, change: Partial<RunPlan> = {}): Promise<RunPlan> {
  const { id } = await dataset(tab);
  return { dataset: id, backbone: 'efficientnet-lite0', method: 'linear-probe', settings, ...change };
}

const stateOf = async ({ engine }: Tab, id: string) =>
  (await engine.runs()).find((run) => run.id === id)!.state;

async function reached(tab: Tab, id: string, ...states: RunState[]): Promise<void> {
  await until(() =>
    tab.events.some((e) => e.kind === 'run' && e.run.id === id && states.includes(e.run.state)),
  );
}

async function trained(tab: Tab, plan: RunPlan): Promise<string> {
  const { id } = await tab.engine.createRun(plan);
  await reached(tab, id, 'done', 'failed');
  return id;
}

const lossesOf = async ({ engine }: Tab, id: string) =>
  (await engine.curves(id)).steps.map(({ loss }) => loss);

/** A trainer on the processor whose first `hangs` trainings never move; `then` may lose the device under them. */
function trainer(hangs: number, then: (lose: (reason: string) => void) => void): Trainer {
  const inner = new CpuTrainer(fakeReference());
  let left = hangs;
  let lose: (reason: string) => void = () => undefined;
  let lost = new Promise<string>(() => undefined);
  const renew = async () => {
    lost = new Promise((resolve) => {
      lose = resolve;
    });
  };
  void renew();
  const open = async (options: OpenOptions) => {
    const session = await inner.open(options);
    const run = session.run.bind(session);
    session.run = (control, events) => {
      if (left-- <= 0) return run(control, events);
      then(lose);
      return new Promise(() => undefined);
    };
    return session;
  };
  const { limits } = inner;
  const about = { backend: 'wasm', name: 'fragile', software: true, features: [], limits } as const;
  return {
    ...about,
    accept: () => undefined,
    ready: async () => undefined,
    holds: () => true,
    open,
    lost: () => lost,
    renew,
  };
}

test('opens, describes, takes pictures, trains, reports, predicts, and gives back the same adapter', async () => {
  const tab = await (await browser('whole')).tab();
  expect(tab.machine.backend).toBe('wasm');
  expect(tab.machine.noWebGpu?.message).toContain('There is no GPU here.');
  const { backbones, defaultBackbone } = await tab.engine.catalogue();
  expect(backbones.map(({ id }) => id)).toContain(defaultBackbone);
  const plan = await planned(tab);
  const estimate = await tab.engine.estimate(plan);
  expect(estimate.trainableParameters).toBe(2 * 1281);
  expect(estimate.steps).toBe(28);
  const score = await tab.engine.neighbours(plan.dataset, plan.backbone, 64);
  expect(score.accuracy).toBe(1);
  const id = await trained(tab, plan);
  const [run] = await tab.engine.runs();
  expect(run).toMatchObject({ state: 'done', name: 'Linear probe on pets', classes: ['cat', 'dog'] });
  expect(run.test?.accuracy).toBe(1);
  expect(run.progress).toMatchObject({ done: 28, total: 28, unit: 'steps' });
  const report = await tab.engine.report(id);
  expect(report.confusion).toEqual([
    [3, 0],
    [0, 3],
  ]);
  const [{ image }] = await tab.engine.thumbnails(plan.dataset, 1, 0, 1);
  const said = await tab.engine.predict(id, image);
  expect(said.withoutAdapter).toHaveLength(2);
  const { name, zip } = await tab.engine.exportAdapter(id, { withBase: false });
  expect(name).toBe('linear-probe-on-pets.zip');
  const whole = await tab.engine.exportOnnx(id);
  expect(whole).toMatchObject({ name: 'linear-probe-on-pets.onnx', kept: null });
  expect(whole.file.size).toBeGreaterThan(6e6);
  const back = await tab.engine.take([{ path: name, file: new File([zip], name) }]);
  expect(back.kind).toBe('adapter');
  if (back.kind !== 'adapter') return;
  expect(back.run).toMatchObject({ state: 'imported', classes: ['cat', 'dog'] });
  expect((await tab.engine.predict(back.run.id, image)).withAdapter).toEqual(said.withAdapter);
});

test('says what it cannot do, before it begins', async () => {
  const tab = await (await browser('refusals')).tab();
  const plan = await planned(tab);
  await expect(tab.engine.createRun({ ...plan, method: 'lora' })).rejects.toThrow('WebGPU');
  await expect(tab.engine.createRun({ ...plan, settings: { image_size: 63 } })).rejects.toThrow('Try 64');
  await expect(tab.engine.check('efficientnet-lite0')).rejects.toThrow('nothing to compare');
  await expect(tab.engine.pause('nothing')).rejects.toThrow('not in this browser');
  expect(await tab.engine.runs()).toEqual([]);
});

describe('a run that is cut off', () => {
  test('is interrupted for the next visit, and ends in the bits of an undisturbed one', async () => {
    const machine = await browser('cut');
    const first = await machine.tab();
    const plan = await planned(first, { settings: { ...settings, epochs: 150 } });
    const whole = await trained(first, plan);
    const { id } = await first.engine.createRun(plan);
    await reached(first, id, 'running');
    await first.engine.pause(id);
    await reached(first, id, 'paused');
    // The tab goes while the record says that it moves.
    const record = (await machine.db.get('runs', id))!;
    await machine.db.put('runs', { ...record, view: { ...record.view, state: 'running' } });
    machine.close();
    const second = await machine.tab();
    expect(await stateOf(second, id)).toBe('interrupted');
    await second.engine.resume(id);
    await reached(second, id, 'done', 'failed');
    expect(await stateOf(second, id)).toBe('done');
    expect(await lossesOf(second, id)).toEqual(await lossesOf(second, whole));
  });

  test('in another tab is seen as such when that tab is closed', async () => {
    const machine = await browser('closed');
    const first = await machine.tab({ openGpu: async () => trainer(1, () => undefined) });
    const plan = await planned(first);
    const { id } = await first.engine.createRun(plan);
    await reached(first, id, 'running');
    const next = await first.engine.createRun(plan);
    const second = await machine.tab();
    expect(await stateOf(second, id)).toBe('running');
    machine.close();
    await reached(second, id, 'interrupted');
    // What waited for it goes on waiting, and the page is told so.
    await until(() => second.events.some((e) => e.kind === 'queue' && !e.moves));
    expect(await stateOf(second, next.id)).toBe('queued');
  });
});

test('one tab trains; what another begins waits for it, and is trained there', async () => {
  const machine = await browser('two');
  const first = await machine.tab();
  const second = await machine.tab();
  const plan = await planned(first);
  expect((await second.engine.datasets()).map(({ id }) => id)).toEqual([plan.dataset]);
  // Long enough to be seen running: events of a run come at most ten times a second.
  const long = { ...plan, settings: { ...plan.settings, epochs: 60 } };
  const { id } = await first.engine.createRun(long);
  await reached(first, id, 'running');
  const next = await second.engine.createRun(plan);
  await reached(second, next.id, 'done');
  expect(await stateOf(second, id)).toBe('done');
  await until(() => second.events.some(({ kind }) => kind === 'points'));
  expect(first.events.some((e) => e.kind === 'run' && e.run.id === next.id)).toBe(true);
  await trained(second, plan);
});

test('a step cannot be timed where the processor trains, and the run says so', async () => {
  const tab = await (await browser('profile')).tab();
  const id = await trained(tab, await planned(tab));
  await expect(tab.engine.profile(id)).rejects.toThrow('no GPU kernels');
});

describe('the queue', () => {
  const queued = async ({ engine }: Tab) =>
    (await engine.runs())
      .filter(({ state }) => state === 'queued')
      .sort((a, b) => a.place! - b.place!)
      .map(({ id }) => id);
  /** The runs in the order in which they trained. */
  const begun = ({ events }: Tab) => [
    ...new Set(events.flatMap((e) => (e.kind === 'points' ? [e.run] : []))),
  ];

  test('takes frozen plans, is put in order, and begins the next run when one ends or fails', async () => {
    const tab = await (await browser('queue')).tab();
    const plan = await planned(tab, { settings: { ...settings, epochs: 60 } });
    const { id: first } = await tab.engine.createRun(plan);
    await reached(tab, first, 'running');
    const changed = { ...plan, settings: { ...settings, lr: 0.02 } };
    const wait = { wait: true };
    const { id: a } = await tab.engine.createRun(changed, wait);
    const gone = (await tab.engine.take(pets(6))) as { dataset: { id: string } };
    const { id: fails } = await tab.engine.createRun({ ...changed, dataset: gone.dataset.id }, wait);
    const { id: b } = await tab.engine.createRun(changed);
    const { id: out } = await tab.engine.createRun(changed, wait);
    expect(await queued(tab)).toEqual([a, fails, b, out]);
    changed.settings.lr = 1;
    await tab.engine.removeDataset(gone.dataset.id);
    await tab.engine.moveQueued(b, a);
    await tab.engine.moveQueued(fails, a);
    await tab.engine.removeRun(out);
    expect(await queued(tab)).toEqual([b, fails, a]);
    await reached(tab, a, 'done');
    expect(begun(tab)).toEqual([first, b, a]);
    expect(await stateOf(tab, fails)).toBe('failed');
    const run = (await tab.engine.runs()).find(({ id }) => id === a)!;
    expect(run.plan.settings.lr).toBe(0.02);
    expect(run.figures).toEqual({
      trainableParameters: 2 * 1281,
      peakBytes: null,
      extraUse: 0,
      fileBytes: expect.any(Number),
      stepMs: expect.any(Number),
    });
    expect(run.val?.n).toBe(6);
    const { zip } = await tab.engine.exportAdapter(a, { withBase: false });
    const files = unzipSync(new Uint8Array(await zip.arrayBuffer()));
    expect(files['adapter_model.safetensors'].byteLength).toBe(run.figures.fileBytes);
    expect(await queued(tab)).toEqual([]);
  });

  test('survives the page in its order, held until it is moved; a run that was cut off can go first', async () => {
    const machine = await browser('queue-reload');
    const first = await machine.tab({ openGpu: async () => trainer(1, () => undefined) });
    const plan = await planned(first);
    const { id: cut } = await first.engine.createRun(plan);
    await reached(first, cut, 'running');
    const wait = { wait: true };
    const ids: string[] = [];
    for (const lr of [1e-3, 2e-3])
      ids.push((await first.engine.createRun({ ...plan, settings: { ...settings, lr } }, wait)).id);
    await first.engine.moveQueued(ids[1], ids[0]);
    machine.close();
    const second = await machine.tab();
    expect(await stateOf(second, cut)).toBe('interrupted');
    expect(await queued(second)).toEqual([ids[1], ids[0]]);
    await second.engine.resume(cut);
    await until(() => second.events.some((e) => e.kind === 'queue' && !e.moves));
    expect(begun(second)).toEqual([cut, ids[1], ids[0]]);
    expect(await stateOf(second, ids[0])).toBe('done');
  });

  test('goes on at a pause, and holds where it is told to', async () => {
    const tab = await (await browser('queue-hold')).tab();
    const plan = await planned(tab, { settings: { ...settings, epochs: 150 } });
    const { id: long } = await tab.engine.createRun(plan);
    const short = { ...plan, settings };
    const { id: next } = await tab.engine.createRun(short);
    const { id: last } = await tab.engine.createRun(short);
    await reached(tab, long, 'running');
    await tab.engine.pause(long);
    await reached(tab, next, 'preparing');
    await tab.engine.moveQueue(false);
    await reached(tab, next, 'done');
    expect(await queued(tab)).toEqual([last]);
    await tab.engine.pause(last);
    expect(await stateOf(tab, last)).toBe('paused');
    await tab.engine.resume(last);
    await reached(tab, last, 'done');
    expect(await stateOf(tab, long)).toBe('paused');
  });
});

test('runs of one tab wait for each other', async () => {
  const tab = await (await browser('line')).tab();
  const plan = await planned(tab);
  const one = await tab.engine.createRun(plan);
  const two = await tab.engine.createRun(plan);
  await reached(tab, two.id, 'done');
  const at = (found: (event: StudioEvent) => boolean) => tab.events.findIndex(found);
  const end = at((e) => e.kind === 'run' && e.run.id === one.id && e.run.state === 'done');
  const begin = at((e) => e.kind === 'points' && e.run === two.id);
  expect(end).toBeGreaterThan(0);
  expect(end).toBeLessThan(begin);
});

test('a knob turned at a pause is in the journal and takes effect', async () => {
  const tab = await (await browser('knob')).tab();
  const plan = await planned(tab, { settings: { ...settings, epochs: 150 } });
  const { id } = await tab.engine.createRun(plan);
  await reached(tab, id, 'running');
  await tab.engine.pause(id);
  await reached(tab, id, 'paused');
  await expect(tab.engine.turn(id, 'r', 3)).rejects.toThrow('lr can');
  await tab.engine.turn(id, 'lr', 1e-6);
  await tab.engine.resume(id);
  await reached(tab, id, 'done');
  const { journal, steps } = await tab.engine.curves(id);
  expect(journal).toEqual([{ step: expect.any(Number), knob: 'lr', value: 1e-6 }]);
  expect(steps.every(({ step, lr }) => lr < 1.1e-6 === step >= journal[0].step || lr === 0)).toBe(true);
});

test('a stopped run keeps its best, is reported, and can go on', async () => {
  const tab = await (await browser('stop')).tab();
  const { id } = await tab.engine.createRun(await planned(tab, { settings: { ...settings, epochs: 200 } }));
  await until(() => tab.events.some((e) => e.kind === 'points' && e.evals.length > 0));
  await tab.engine.stop(id);
  await reached(tab, id, 'stopped');
  expect((await tab.engine.report(id)).score.n).toBe(6);
  await tab.engine.resume(id);
  await vi.waitFor(async () => expect(await stateOf(tab, id)).toBe('running'), 20_000);
  await tab.engine.removeRun(id);
  expect(await tab.engine.runs()).toEqual([]);
  expect((await tab.engine.restoreRun(id)).state).toBe('stopped');
});

describe('a lost device', () => {
  test.each([
    [1, 'done', 4],
    [2, 'done', 2],
    [3, 'failed', 2],
  ])('%i times: %s, batches of %i', async (losses, state, batch) => {
    const machine = await browser(`lost-${losses}`);
    const tab = await machine.tab({
      openGpu: async () => trainer(losses, (lose) => lose('the driver was reset')),
    });
    const id = await trained(tab, await planned(tab));
    const [run] = await tab.engine.runs();
    expect([run.state, run.plan.settings.batch_size]).toEqual([state, batch]);
    const told = tab.events.flatMap((e) => (e.kind === 'device-lost' ? [e] : []));
    expect(told.map(({ recovered }) => recovered)).toEqual([true, true, false].slice(0, losses));
    if (state === 'failed') expect(run.error?.advice).toContain('resume');
    else expect((await lossesOf(tab, id)).length).toBe(112 / batch);
  });
});
