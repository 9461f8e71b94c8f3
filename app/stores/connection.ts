import type { Studio, StudioError } from '../../workers/protocol.ts';

let connected: Studio | null = null;

/** The one engine this page talks to: the worker in the product, an in-page stand-in under tests. */
export function connect(studio: Studio): void {
  connected = studio;
}

export function engine(): Studio {
  if (!connected) throw new Error('The engine was used before it was connected. Call connect() first.');
  return connected;
}

/** Anything thrown, as the three sentences that the page shows. */
export function asStudioError(thrown: unknown): StudioError {
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) {
    const error = thrown as { name?: unknown; message: unknown; advice?: unknown };
    return {
      name: typeof error.name === 'string' ? error.name : 'Error',
      message: String(error.message) || 'The engine stopped without saying why.',
      ...(typeof error.advice === 'string' ? { advice: error.advice } : {}),
    };
  }
  return { name: 'Error', message: String(thrown) };
}
