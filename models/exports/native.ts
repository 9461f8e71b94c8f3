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
  /** Parameters in fewer bits than floats take, in place of those among `tensors`: see docs/file-format.md. */
  packed?: ReadonlyMap<string, Uint8Array>;
}

const ending = '.packed';

/** The bytes of `graft.safetensors`. */
export function toNative({ method, settings, tensors, packed = new Map() }: NativeAdapter): Uint8Array {
  const whole = [...tensors].filter(([name]) => !packed.has(name));
  return writeSafetensors(
    [
      ...whole.map(([name, { shape, data }]) => ({ name, shape: [...shape], data })),
      ...[...packed].map(([name, data]) => ({
        name: name + ending,
        dtype: 'U8' as const,
        shape: [data.length],
        data,
      })),
    ],
    { format: 'graft', version: '1', method, settings: JSON.stringify(settings) },
  );
}

/** Throws `AdapterError` where the file is of another kind or a later version. */
export async function fromNative(file: Checkpoint): Promise<Required<NativeAdapter>> {
  const { metadata } = file;
  const method = metadata.get('method');
  if (metadata.get('format') !== 'graft' || !method)
    throw new AdapterError(`${nativeName} does not say which method it is of; fetch it again.`);
  if (metadata.get('version') !== '1')
    throw new AdapterError(
      `${nativeName} has version ${metadata.get('version')}, and this studio reads version 1. Open it in a newer one.`,
    );
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const packed = new Map<string, Uint8Array>();
  for (const name of file.names())
    if (name.endsWith(ending)) packed.set(name.slice(0, -ending.length), await file.bytes(name));
    else tensors.set(name, { shape: file.info(name).shape, data: await file.f32(name) });
  return { method, settings: settingsOf(metadata.get('settings')), tensors, packed };
}

function settingsOf(text: string | undefined): Settings {
  try {
    return JSON.parse(text ?? '{}') as Settings;
  } catch {
    throw new AdapterError(`The settings in ${nativeName} are not valid JSON; fetch it again.`);
  }
}
