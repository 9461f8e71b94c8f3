import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Gpu } from '../../../gpu-shaders/index.ts';
import { writeSafetensors } from '../../../models/checkpoints/safetensors.ts';
import { disagreement, median } from '../contest.ts';
import { Encoder, turned, type Variant } from '../engine.ts';
import {
  batchOf,
  type Form,
  type ModelName,
  optimiser,
  type Sizes,
  type Spec,
  specOf,
  weightsOf,
} from '../model.ts';
import type { GpuResult } from './result.ts';

/**
 * Ours under Dawn beside PyTorch with PEFT, on the same device in one run. Bundled into one file, so that it needs no
 * package where it runs but Dawn itself, whose path is in DAWN_NODE.
 */

const { values: given } = parseArgs({
  options: {
    /** Shapes small enough to try the program without a GPU. */
    tiny: { type: 'boolean', default: false },
    steps: { type: 'string' },
    epochs: { type: 'string', default: '10' },
    batches: { type: 'string' },
    toggles: { type: 'string', default: '' },
    python: { type: 'string', default: 'python3' },
    /** Where weights and answers are exchanged. */
    folder: { type: 'string', default: '.gpu/exchange' },
    /** The PyTorch program, which is not bundled. */
    peft: { type: 'string', default: 'tools/bench/gpu/peft_side.py' },
    out: { type: 'string' },
  },
});

const WARM = 5;
const ROUNDS = 3;
const steps = Number(given.steps ?? (given.tiny ? 2 : 50));
const epochs = Number(given.epochs);
const batches = Number(given.batches ?? (given.tiny ? 3 : 32));

interface StepJob {
  workload: string;
  spec: Spec;
}

const models: ModelName[] = ['vit', 'bert'];
const tiny: Record<ModelName, Sizes> = {
  vit: { blocks: 3, dim: 48, heads: 3, tokens: 17, batch: 4 },
  bert: { blocks: 3, dim: 48, heads: 4, tokens: 16, batch: 4 },
};

function jobs(third: boolean): StepJob[] {
  const forms: Form[] = given.tiny || third ? ['full'] : ['full', 'reduced'];
  return models.flatMap((model) =>
    forms.map((form) => {
      const sizes = given.tiny ? tiny[model] : {};
      const { depth } = specOf(model, form, sizes);
      return {
        workload: form === 'full' ? `${model}-full` : model,
        spec: specOf(model, form, third ? { ...sizes, adaptedFrom: Math.floor((2 * depth) / 3) } : sizes),
      };
    }),
  );
}

const every: Variant = { narrow: false, cached: false };

/** Milliseconds a step with many under way, and the first losses, read one by one. */
async function timeSteps(gpu: Gpu, spec: Spec, variant: Variant): Promise<{ ms: number; losses: number[] }> {
  const encoder = new Encoder(gpu, spec, variant);
  const losses: number[] = [];
  for (let t = 1; t <= WARM; t++) losses.push(await encoder.step(t));
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const from = performance.now();
    for (let i = 0; i < steps; i++) await encoder.submit(WARM + round * steps + i + 1);
    await gpu.device.queue.onSubmittedWorkDone();
    rounds.push((performance.now() - from) / steps);
  }
  await encoder.destroy();
  return { ms: median(rounds), losses };
}

/** A whole run over kept prefixes, the first epoch's computation of them in it; kernels are compiled before. */
async function timeEpochs(gpu: Gpu, spec: Spec): Promise<{ prefix: number; all: number }> {
  const encoder = new Encoder(gpu, spec, { narrow: true, cached: true });
  await encoder.step(1);
  const { x, labels } = batchOf(spec);
  const size = x.length / spec.batch;
  const from = performance.now();
  const kept = [];
  for (let b = 0; b < batches; b++) {
    const shift = b % spec.batch;
    const rolled = new Float32Array(x.length);
    rolled.set(x.subarray(0, x.length - shift * size), shift * size);
    rolled.set(x.subarray(x.length - shift * size), 0);
    const order = labels.map((_, i) => labels[(i - shift + spec.batch) % spec.batch]);
    kept.push(await encoder.take(rolled, order));
  }
  await gpu.device.queue.onSubmittedWorkDone();
  const prefix = (performance.now() - from) / 1000;
  let t = 1;
  for (let epoch = 0; epoch < epochs; epoch++) for (const batch of kept) await encoder.submit(++t, batch);
  await gpu.device.queue.onSubmittedWorkDone();
  const all = (performance.now() - from) / 1000;
  await encoder.destroy();
  return { prefix, all };
}

/** Weights and batch of a model for the PyTorch side; matrices as [out, in]. */
function handOver(
  name: string,
  spec: Spec,
): { weights: string; batch: string; spec: Spec; optimiser: object } {
  const { frozen, trained } = weightsOf(spec);
  const tensors = [...frozen, ...trained].map(([key, w]) => ({
    name: key,
    shape: w.shape.length === 2 ? [w.shape[1], w.shape[0]] : w.shape,
    data: turned(w),
  }));
  const { x, shape, labels } = batchOf(spec);
  const batch = [
    { name: 'x', shape, data: x },
    { name: 'labels', shape: [labels.length], data: Float32Array.from(labels) },
  ];
  const meta = { format: 'pt' };
  writeFileSync(join(given.folder, `${name}.safetensors`), writeSafetensors(tensors, meta));
  writeFileSync(join(given.folder, `${name}.batch.safetensors`), writeSafetensors(batch, meta));
  return { weights: `${name}.safetensors`, batch: `${name}.batch.safetensors`, spec, optimiser };
}

interface Answer {
  device: string;
  torch: string;
  steps: { f32: { ms: number; losses: number[] }; amp: { ms: number } | null }[];
  epochs: { seconds: number }[];
}

function askPeft(stepJobs: readonly StepJob[], epochJobs: readonly StepJob[]): Answer {
  const request = {
    steps: stepJobs.map((j) => ({ ...handOver(j.workload, j.spec), warm: WARM, rounds: ROUNDS, steps })),
    epochs: epochJobs.map((j) => ({ ...handOver(`${j.workload}-third`, j.spec), epochs, batches })),
  };
  writeFileSync(join(given.folder, 'request.json'), JSON.stringify(request));
  const { status } = spawnSync(given.python, [given.peft, given.folder], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`The PyTorch side ended with ${status}.`);
  return JSON.parse(readFileSync(join(given.folder, 'answer.json'), 'utf8')) as Answer;
}

async function main(): Promise<void> {
  mkdirSync(given.folder, { recursive: true });
  const dawn = createRequire(import.meta.url)(process.env.DAWN_NODE ?? 'webgpu') as typeof import('webgpu');
  Object.assign(globalThis, dawn.globals);
  const toggles = given.toggles ? given.toggles.split(',') : [];
  // Kept for the whole run: Dawn's instance must outlive its devices.
  const instance = dawn.create(toggles);
  const gpu = await Gpu.open(instance);
  console.error(`Dawn: ${gpu.info.description}`);
  const [stepJobs, epochJobs] = [jobs(false), jobs(true)];
  const ours: Record<'every' | 'narrow' | 'half', Awaited<ReturnType<typeof timeSteps>>>[] = [];
  for (const { spec } of stepJobs)
    ours.push({
      every: await timeSteps(gpu, spec, every),
      narrow: await timeSteps(gpu, spec, { narrow: true, cached: false }),
      half: await timeSteps(gpu, spec, { ...every, half: true }),
    });
  const runs: Awaited<ReturnType<typeof timeEpochs>>[] = [];
  for (const { spec } of epochJobs) runs.push(await timeEpochs(gpu, spec));
  const answer = askPeft(stepJobs, epochJobs);
  const result: GpuResult = {
    adapter: gpu.info.description,
    torch_device: answer.device,
    torch: answer.torch,
    toggles,
    steps: stepJobs.map(({ workload, spec }, i) => ({
      workload,
      spec,
      ours: { every_row: ours[i].every.ms, unread_left_out: ours[i].narrow.ms, half: ours[i].half.ms },
      peft: { f32: answer.steps[i].f32.ms, amp: answer.steps[i].amp?.ms ?? null },
      apart: disagreement([], [ours[i].every.losses, answer.steps[i].f32.losses]),
    })),
    epochs: epochJobs.map(({ workload, spec }, i) => ({
      workload,
      spec,
      batches,
      epochs,
      ours_seconds: runs[i],
      peft_seconds: answer.epochs[i].seconds,
    })),
  };
  const text = JSON.stringify(result, null, 1);
  if (given.out) writeFileSync(given.out, `${text}\n`);
  console.log(text);
  void instance;
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    console.error(error.stack);
    process.exit(1);
  },
);
