import { bytesSource, readSafetensors, writeSafetensors } from '../../models/checkpoints/safetensors.ts';
import type { Files } from '../session/ports.ts';
import type { Probe } from '../session/probe.ts';
import { runFolder } from './runStore.ts';

const name = (run: string) => `${runFolder(run)}probe.safetensors`;

/** Keeps a run's linear probe, so that a picture can be tried without the data set. */
export async function saveProbe(files: Files, run: string, probe: Probe): Promise<void> {
  const { classes, mean, deviation, weight, bias } = probe;
  const width = mean.length;
  const tensors = [
    { name: 'mean', shape: [width], data: Float32Array.from(mean) },
    { name: 'deviation', shape: [width], data: Float32Array.from(deviation) },
    { name: 'weight', shape: [classes, width], data: Float32Array.from(weight) },
    { name: 'bias', shape: [classes], data: Float32Array.from(bias) },
  ];
  await files.write(name(run), writeSafetensors(tensors, { format: 'graft', version: '1' }));
}

/** The kept probe of a run; null where none was fitted. */
export async function loadProbe(files: Files, run: string): Promise<Probe | null> {
  const bytes = await files.read(name(run));
  if (!bytes) return null;
  const file = await readSafetensors(bytesSource(bytes), 'probe.safetensors');
  const read = async (tensor: string) => Float64Array.from(await file.f32(tensor));
  const [mean, deviation, weight, bias] = await Promise.all(
    ['mean', 'deviation', 'weight', 'bias'].map(read),
  );
  return { classes: bias.length, mean, deviation, weight, bias };
}
