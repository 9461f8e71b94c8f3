import type { ByteSource } from '../../models/checkpoints/bytes.ts';
import type { HubClient, HubFile } from './client.ts';
import { HubError } from './errors.ts';

/** Bytes that a header is guessed to have; most have fewer, so that one request is enough. */
const head = 128 * 1024;

/** A file on a hub, read by range: its headers are looked at before any of it is stored. */
export async function remoteSource(client: HubClient, file: HubFile): Promise<ByteSource> {
  const size = file.size ?? (await sizeOf(client, file.path));
  let first: Promise<Uint8Array> | undefined;
  return {
    size,
    async read(begin, end) {
      if (end > Math.min(head, size)) return client.range(file.path, begin, end);
      first ??= client.range(file.path, 0, Math.min(head, size));
      return (await first).subarray(begin, end);
    },
  };
}

/** Asks for one byte, whose answer tells how many there are. */
async function sizeOf(client: HubClient, file: string): Promise<number> {
  const answer = await client.open(file, 0, 1, null, client.attempts());
  await answer.close();
  const total =
    totalOf(answer.header('Content-Range')) ?? lengthOf(answer.status, answer.header('Content-Length'));
  if (total !== null) return total;
  throw new HubError(
    `${client.model.hub} does not tell the size of ${file}, so nobody could tell when it is whole.`,
    'Use another hub or mirror.',
  );
}

/** The whole file's size in a `Content-Range`. */
export function totalOf(header: string | null): number | null {
  const total = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(header?.trim() ?? '')?.[1];
  return total === undefined ? null : Number(total);
}

/** Where the bytes of an answer begin in the file, by its `Content-Range`. */
export function startOf(header: string | null): number | null {
  const start = /^bytes (\d+)-\d+\//.exec(header?.trim() ?? '')?.[1];
  return start === undefined ? null : Number(start);
}

const lengthOf = (status: number, header: string | null): number | null =>
  status === 200 && header !== null && /^\d+$/.test(header) ? Number(header) : null;
