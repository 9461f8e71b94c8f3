import { expect, test, vi } from 'vitest';
import { TinyVit } from './testing/tinyVit.ts';
import { adamw, hyperVector } from './train/optimiser.ts';
import { compileTrainStep } from './train/step.ts';

const making = [
  'createBuffer',
  'createBindGroup',
  'createBindGroupLayout',
  'createPipelineLayout',
  'createShaderModule',
  'createComputePipeline',
  'createComputePipelineAsync',
  'createQuerySet',
] as const;

test('from step 3 on a training loop makes nothing on the device, and submits as planned', async () => {
  const vit = new TinyVit(1);
  const state = await vit.state();
  const { device } = state.gpu;
  const program = await compileTrainStep(state, { label: 'step', loss: vit.loss, optimiser: adamw });
  for (const [name, data] of Object.entries(vit.inputs)) program.write(name, data);
  const spies = making.map((name) => vi.spyOn(device, name));
  const submits = vi.spyOn(device.queue, 'submit');
  const pending: Promise<unknown>[] = [];
  for (let step = 1; step <= 6; step++) {
    if (step === 3) for (const spy of [...spies, submits]) spy.mockClear();
    const hyper = { lr: 1e-3, weightDecay: 0, clip: 1, lossScale: 1, step };
    program.write('hyper', hyperVector(hyper, adamw));
    program.run();
    // As a run does: figures are awaited two steps later.
    pending.push(program.collect(['loss', 'control']));
    if (pending.length > 2) await pending.shift();
  }
  await Promise.all(pending);
  expect(spies.flatMap((spy, i) => (spy.mock.calls.length ? [making[i]] : []))).toEqual([]);
  // One for the step, which is short, and one to read its figures back.
  expect(program.pace.submits).toBe(1);
  expect(submits.mock.calls.length).toBe(4 * 2);
  expect(program.pace.milliseconds).toBeGreaterThan(0);
  expect(program.encodeMs).toBeGreaterThan(0);
  for (const spy of [...spies, submits]) spy.mockRestore();
  program.destroy();
  state.destroy();
});
