import {
  bytesSource,
  readSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../models/checkpoints/safetensors.ts';
import type { Progress } from '../session/checkpoint.ts';
import type { Files } from '../session/ports.ts';

/** Steps of the checkpoints in a run's folder, newest first. */
export async function checkpointSteps(files: Files, folder: string): Promise<number[]> {
  const names = await files.list(`${folder}/`);
  const steps = names.flatMap((name) => /\/(\d+)\.safetensors$/.exec(name)?.[1] ?? []);
  return steps.map(Number).sort((a, b) => b - a);
}

/** What the newest checkpoint says of the run; null before the first. Reads its header only. */
export async function lastProgress(files: Files, folder: string): Promise<Progress | null> {
  const [step] = await checkpointSteps(files, folder);
  if (step === undefined) return null;
  const name = `${folder}/${step}.safetensors`;
  const size = (await files.size(name)) ?? 0;
  const source = { size, read: (begin: number, end: number) => files.readRange(name, begin, end) };
  const { metadata } = await readSafetensors(source, name);
  return JSON.parse(metadata.get('progress') ?? 'null') as Progress | null;
}

/** What a run trained, the best validated values or else the newest, by name; null where there is none. Needs no GPU. */
export async function trainedValues(files: Files, folder: string): Promise<Map<string, Float32Array> | null> {
  const [step] = await checkpointSteps(files, folder);
  const best = await files.read(`${folder}/best.safetensors`);
  const bytes = best ?? (step === undefined ? null : await files.read(`${folder}/${step}.safetensors`));
  if (!bytes) return null;
  const file = await readSafetensors(bytesSource(bytes), folder);
  const prefix = best ? '' : 'values/';
  const names = file.names().filter((name) => name.startsWith(prefix));
  return new Map(
    await Promise.all(names.map(async (name) => [name.slice(prefix.length), await file.f32(name)] as const)),
  );
}

/**
 * Rewrites the newest checkpoint for batches that are smaller by `factor`: the same pictures are behind it, in that
 * many more steps, so that data, schedule and curves go on where they were.
 */
export async function halveBatch(files: Files, folder: string, factor: number): Promise<void> {
  const [newest, ...older] = await checkpointSteps(files, folder);
  if (newest === undefined) return;
  const bytes = await files.read(`${folder}/${newest}.safetensors`);
  if (!bytes) return;
  const file = await readSafetensors(bytesSource(bytes), `${newest}.safetensors`);
  const progress = JSON.parse(file.metadata.get('progress') ?? 'null') as Progress | null;
  if (!progress) return;
  const tensors: TensorToWrite[] = [];
  for (const name of file.names()) {
    const { shape, dtype } = file.info(name);
    tensors.push({ name, shape, dtype, data: await file.bytes(name) });
  }
  const moved = withSmallerBatch(progress, factor);
  const metadata = { ...Object.fromEntries(file.metadata), progress: JSON.stringify(moved) };
  await files.write(`${folder}/${moved.step}.safetensors`, writeSafetensors(tensors, metadata));
  for (const step of [newest, ...older])
    if (step !== moved.step) await files.remove(`${folder}/${step}.safetensors`);
}

function withSmallerBatch(progress: Progress, factor: number): Progress {
  const step = (n: number) => Math.round(n * factor);
  return {
    ...progress,
    step: step(progress.step),
    skipped: progress.skipped.map(step),
    best: progress.best && { ...progress.best, step: step(progress.best.step) },
    steps: progress.steps.map((point) => ({ ...point, step: step(point.step) })),
    evals: progress.evals.map((point) => ({ ...point, step: step(point.step) })),
    journal: progress.journal.map((move) => ({ ...move, step: step(move.step) })),
  };
}
