import { transferHandlers } from 'comlink';
import { DataError, DecodeError } from '../models/data/errors.ts';
import type { StudioError } from './protocol.ts';

/** Advice for errors that are thrown below this room and carry none, by their name. */
const advice: Record<string, string> = {
  NoGpuError: 'Open the Machine page to see what was found and how to turn WebGPU on.',
  QuotaExceededError: 'Remove data sets or runs you no longer need, then try again.',
};

/** Anything thrown, as the page shows it: its name, its message, and what to do where that is known. */
export function toStudioError(thrown: unknown): StudioError {
  if (typeof thrown !== 'object' || thrown === null || !('message' in thrown))
    return { name: 'Error', message: String(thrown) };
  const error = thrown as { name?: string; message: string; advice?: string };
  const name = error.name || 'Error';
  const message = error.message || 'It stopped without saying why.';
  const next = error.advice ?? advice[name];
  return next ? { name, message, advice: next } : { name, message };
}

/** Classes that are told apart on the other side of a worker. */
const revived = { DataError, DecodeError };

interface Thrown {
  value: unknown;
}

/**
 * Lets errors keep their own fields (`advice`, a file's `path` and `reason`) from worker to worker: comlink alone
 * sends name, message and stack. The form on the wire is comlink's, so a page without this reads it too.
 */
export function keepErrorFields(): void {
  const plain = transferHandlers.get('throw')!;
  transferHandlers.set('throw', {
    canHandle: plain.canHandle,
    serialize: (thrown) => {
      const { value } = thrown as Thrown;
      if (!(value instanceof Error)) return [{ isError: false, value }, []];
      const { name, message, stack } = value;
      return [{ isError: true, value: { ...cloneable(value), name, message, stack } }, []];
    },
    deserialize: (wire) => {
      const { isError, value } = wire as { isError: boolean; value: Record<string, string> };
      const kind = isError ? revived[value.name as keyof typeof revived] : undefined;
      if (kind) throw new kind(value.path, value.reason);
      return plain.deserialize(wire);
    },
  });
}

/** Own fields that are texts or numbers; a cause or a handle would not survive the trip. */
function cloneable(error: Error): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
  );
}
