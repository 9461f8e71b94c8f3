import { beforeEach, describe, expect, test, vi } from 'vitest';
import { type Gpu, PLAIN } from '../../gpu-shaders/index.ts';
import { MemoryFiles } from '../storage/memory.ts';
import { chooseKernels, keepKernels, keptKernels } from './kernels.ts';

const measured = { ...PLAIN, product: 'tall', packed: true } as const;
const tune = vi.hoisted(() => vi.fn());
vi.mock('../../gpu-shaders/index.ts', async (real) => ({ ...(await real<object>()), tune }));

const adapter = (description: string, features = ['subgroups']) =>
  ({ info: { description, software: false, features } }) as unknown as Gpu;
const [LARGE, SMALL] = [1e12, 1e3];

describe('the kernels of a run', () => {
  beforeEach(() => {
    tune.mockReset();
    tune.mockResolvedValue(measured);
  });

  test('are measured once an adapter, whatever comes after', async () => {
    const files = new MemoryFiles();
    const first = await chooseKernels(adapter('A'), files, null, LARGE);
    expect(first.target).toEqual(measured);
    expect(await chooseKernels(adapter('A'), files, null, LARGE)).toEqual(first);
    // A small run takes what is known, but measures nothing of its own.
    expect(await chooseKernels(adapter('A'), files, null, SMALL)).toEqual(first);
    expect(tune).toHaveBeenCalledTimes(1);
    expect((await chooseKernels(adapter('B'), files, null, SMALL)).target).toEqual(PLAIN);
    await chooseKernels(adapter('B'), files, null, LARGE);
    await chooseKernels(adapter('B', []), files, null, LARGE);
    expect(tune).toHaveBeenCalledTimes(3);
  });

  test('stay those it began with, also where others were measured since', async () => {
    const files = new MemoryFiles();
    const before = await chooseKernels(adapter('A'), files, null, SMALL);
    await chooseKernels(adapter('A'), files, null, LARGE);
    expect(await keptKernels(files, 'runs/one')).toBeNull();
    await keepKernels(files, 'runs/one', before);
    const record = await keptKernels(files, 'runs/one');
    expect((await chooseKernels(adapter('A'), files, record, LARGE)).target).toEqual(PLAIN);
    expect(tune).toHaveBeenCalledTimes(1);
  });

  test('of another adapter, of forms that are no more, or unreadable are not taken', async () => {
    const files = new MemoryFiles();
    const elsewhere = { version: 1, adapter: 'B (subgroups)', target: PLAIN };
    expect((await chooseKernels(adapter('A'), files, elsewhere, LARGE)).target).toEqual(measured);
    const [name] = await files.list('kernels/');
    await files.write(name, new TextEncoder().encode('{"version":'));
    await chooseKernels(adapter('A'), files, null, LARGE);
    await files.write(name, new TextEncoder().encode('{"version":0,"adapter":"A (subgroups)"}'));
    await chooseKernels(adapter('A'), files, null, LARGE);
    expect(tune).toHaveBeenCalledTimes(3);
  });
});
