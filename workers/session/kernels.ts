import { canRun, type Gpu, isWorthTuning, PLAIN, type Target, tune } from '../../gpu-shaders/index.ts';
import { hashText } from '../../models/data/hash.ts';
import { type Files, StorageFullError } from './ports.ts';

/** Changes when the kernel forms do: a table of earlier forms says nothing about these. */
const VERSION = 1;

/** Kernels and the graphics adapter that they were chosen on: plain data, stored for the adapter and with a run. */
export interface ChosenKernels {
  readonly version: number;
  readonly adapter: string;
  readonly target: Target;
}

/** The adapter, and what of it kernels may use. */
const adapterOf = ({ info }: Gpu) => `${info.description} (${[...info.features].sort().join(', ')})`;

/** Where an adapter's table lies. */
const fileOf = (adapter: string) => `kernels/${hashText(adapter).toString(16).padStart(8, '0')}.json`;

/**
 * The kernels of a run: those it had before, else those measured on this adapter at some time, else measured now, and
 * kept, where `flops` of one step make that worth it. A record or table of another adapter, or of forms that are no
 * more, is passed over.
 */
export async function chooseKernels(
  gpu: Gpu,
  files: Files,
  before: ChosenKernels | null,
  flops: number,
): Promise<ChosenKernels> {
  const adapter = adapterOf(gpu);
  const fits = (k: ChosenKernels | null | undefined): k is ChosenKernels =>
    k?.version === VERSION && k.adapter === adapter && canRun(k.target, gpu.info.features);
  if (fits(before)) return before;
  const name = fileOf(adapter);
  const stored = parsed(await files.read(name));
  if (fits(stored)) return stored;
  if (!isWorthTuning(flops)) return { version: VERSION, adapter, target: PLAIN };
  const measured = { version: VERSION, adapter, target: await tune(gpu) };
  await written(files, name, measured);
  return measured;
}

/** Where a run keeps its choice, beside its checkpoints. */
const fileIn = (folder: string) => `${folder}/kernels.json`;

/** The choice that a run was started with; null for one that never was. */
export const keptKernels = async (files: Files, folder: string): Promise<ChosenKernels | null> =>
  parsed(await files.read(fileIn(folder)));

/** Writes a run's choice down, in place of one that could not be kept to. */
export async function keepKernels(files: Files, folder: string, kernels: ChosenKernels): Promise<void> {
  if (JSON.stringify(await keptKernels(files, folder)) === JSON.stringify(kernels)) return;
  await written(files, fileIn(folder), kernels);
}

/** Where there is no room for it there is none for a checkpoint either; and measuring again takes a second or two. */
async function written(files: Files, name: string, kernels: ChosenKernels): Promise<void> {
  try {
    await files.write(name, new TextEncoder().encode(JSON.stringify(kernels)));
  } catch (error) {
    if (!(error instanceof StorageFullError)) throw error;
  }
}

/** A stored table; null where there is none, or none that can be read. */
function parsed(bytes: Uint8Array | null): ChosenKernels | null {
  if (!bytes) return null;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as ChosenKernels;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
