import { type Checkpoint, writeSafetensors } from '../checkpoints/safetensors.ts';
import type { Settings } from '../describe.ts';
import type { Tensors } from '../methods/method.ts';
import { AdapterError } from './adapter.ts';

/** Name, within a download, of the file that holds a method's own tensors: see docs/file-format.md. */
export const nativeName = 'graft.safetensors';

/** A trained attachment in its method's own terms: parameters, buffers and the head, by the names declared. */
export interface NativeAdapter {
  method: string;
  settings: Settings;
  tensors: Tensors;
}

/** The bytes of `graft.safetensors`. */
export function toNative({ method, settings, tensors }: NativeAdapter): Uint8Array {
  return writeSafetensors(
    [...tensors].map(([name, { shape, data }]) => ({ name, shape: [...shape], data })),
    { format: 'graft', version: '1', method, settings: JSON.stringify(settings) },
  );
}

/** Throws `AdapterError` where the file is of another kind or a later version. */
export async function fromNative(file: Checkpoint): Promise<NativeAdapter> {
  const { metadata } = file;
  const method = metadata.get('method');
  if (metadata.get('format') !== 'graft' || !method)
    throw new AdapterError(`${nativeName} does not say which method it is of; fetch it again.`);
  if (metadata.get('version') !== '1')
    throw new AdapterError(
      `${nativeName} has version ${metadata.get('version')}, and this studio reads version 1. Open it in a newer one.`,
    );
  const tensors = await Promise.all(
    file
      .names()
      .map(async (name) => [name, { shape: file.info(name).shape, data: await file.f32(name) }] as const),
  );
  return { method, settings: settingsOf(metadata.get('settings')), tensors: new Map(tensors) };
}

function settingsOf(text: string | undefined): Settings {
  try {
    return JSON.parse(text ?? '{}') as Settings;
  } catch {
    throw new AdapterError(`The settings in ${nativeName} are not valid JSON; fetch it again.`);
  }
}
