import { expose, transfer } from 'comlink';
import { keepErrorFields } from './errors.ts';
import { type HubAnswer, hubFetch } from './hub/port.ts';
import type { HubWorker } from './hub/worker.ts';

/**
 * The one worker that may speak to another origin: its own content policy lets it reach a hub, while the page and the
 * other workers stay within theirs. It holds no data of the person's, only what it is asked to fetch.
 */

const fetcher = hubFetch();
const stops = new Map<number, AbortController>();
const answers = new Map<number, HubAnswer>();

const api: HubWorker = {
  async open(id, url, { 'If-Range': _, ...headers }) {
    // Of another origin `If-Range` would need a permission that file hosts do not give. The loader compares ETags
    // itself, before it keeps a byte.
    const stop = new AbortController();
    stops.set(id, stop);
    const answer = await fetcher(url, headers, stop.signal);
    answers.set(id, answer);
    const told = ['Content-Range', 'Content-Length', 'ETag', 'Retry-After', 'X-Error-Code'];
    return { status: answer.status, headers: told.map((name) => [name, answer.header(name)]) };
  },

  async read(id) {
    const piece = (await answers.get(id)?.read()) ?? null;
    return piece && transfer(piece, [piece.buffer as ArrayBuffer]);
  },

  async close(id) {
    stops.get(id)?.abort();
    stops.delete(id);
    await answers.get(id)?.close();
    answers.delete(id);
  },
};

keepErrorFields();
expose(api);
