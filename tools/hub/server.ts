import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A model that the server holds. */
export interface HeldModel {
  readonly commit: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Only who sends this token may read it. */
  readonly token?: string;
}

/** What goes wrong with one request. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes of the body after which the connection is reset. */
  readonly resetAfter?: number;
  /** Bytes of the body after which nothing more comes, the connection left open. */
  readonly silentAfter?: number;
  /** Milliseconds between pieces of 4 kB. */
  readonly slow?: number;
  /** Sends the whole file whatever range was asked for. */
  readonly noRanges?: boolean;
  /** Sends these bytes in place of the file's. */
  readonly instead?: Uint8Array;
  readonly etag?: string;
}

export interface HubOptions {
  readonly models: Readonly<Record<string, HeldModel>>;
  /** Asked at each request, which is also what tests count. */
  fault?(request: { path: string; range: string | undefined; number: number }): Fault | undefined;
}

/** A hub on this machine, for tests: the addresses of the real one, and its ways to fail. */
export class TestHub {
  readonly requests: { method: string; path: string; headers: IncomingMessage['headers'] }[] = [];
  /** Without a slash at its end. */
  address = '';
  readonly #server: Server;

  private constructor(readonly options: HubOptions) {
    this.#server = createServer((request, response) => {
      // A reset by us or by the other side ends the answer, not the server.
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async open(options: HubOptions, port = 0): Promise<TestHub> {
    const hub = new TestHub(options);
    await new Promise<void>((resolve) => hub.#server.listen(port, 'localhost', resolve));
    hub.address = `http://localhost:${(hub.#server.address() as AddressInfo).port}`;
    return hub;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Requests for a file's content. */
  of(file: string): number {
    return this.requests.filter(({ path }) => path.endsWith(`/${file}`)).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = decodeURIComponent(pathname);
    for (const [name, value] of Object.entries(cors)) response.setHeader(name, value);
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    const { method = 'GET', headers } = request;
    this.requests.push({ method, path, headers });
    const { fault: ask } = this.options;
    const fault = ask?.({ path, range: headers.range, number: this.requests.length }) ?? {};
    if (fault.status) return void response.writeHead(fault.status, { ...fault.headers }).end('no');
    const list = /^\/api\/models\/(.+)\/revision\/([^/]+)$/.exec(path);
    const file = /^\/(.+?)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const [, id, revision] = list ?? file ?? [];
    const model = this.options.models[id ?? ''];
    const refuse = (status: number, code: string) =>
      void response.writeHead(status, { 'X-Error-Code': code }).end(code);
    if (!model) return refuse(404, 'RepoNotFound');
    if (model.token && headers.authorization !== `Bearer ${model.token}`) return refuse(401, 'GatedRepo');
    if (revision !== 'main' && revision !== model.commit) return refuse(404, 'RevisionNotFound');
    if (list) return void response.writeHead(200, { 'Content-Type': 'application/json' }).end(listOf(model));
    const bytes = fault.instead ?? model.files.get(file![3]);
    if (!bytes) return refuse(404, 'EntryNotFound');
    await send(request, response, bytes, fault);
  }
}

const cors = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers': 'Authorization, Range',
  'Access-Control-Expose-Headers': 'ETag, Content-Range, Content-Length, Retry-After, X-Error-Code',
  'Access-Control-Max-Age': '600',
};

const hash = (algorithm: string, ...parts: (Uint8Array | string)[]) => {
  const digest = createHash(algorithm);
  for (const part of parts) digest.update(part);
  return digest.digest('hex');
};

function listOf({ commit, files }: HeldModel): string {
  const siblings = [...files].map(([rfilename, bytes]) => {
    const blobId = hash('sha1', `blob ${bytes.length}\0`, bytes);
    const large = /\.(safetensors|bin)$/.test(rfilename);
    const lfs = large ? { lfs: { sha256: hash('sha256', bytes), size: bytes.length, pointerSize: 130 } } : {};
    return { rfilename, size: bytes.length, blobId, ...lfs };
  });
  return JSON.stringify({ sha: commit, siblings });
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  fault: Fault,
): Promise<void> {
  const etag = fault.etag ?? `"${hash('sha256', bytes)}"`;
  const { range, 'if-range': ifRange } = request.headers;
  const asked = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  const same = !ifRange || ifRange === etag;
  const partial = asked && same && !fault.noRanges;
  const from = partial ? Number(asked[1]) : 0;
  const to = partial && asked[2] ? Math.min(bytes.length, Number(asked[2]) + 1) : bytes.length;
  response.setHeader('ETag', etag);
  if (partial && from >= bytes.length)
    return void response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
  response.writeHead(partial ? 206 : 200, {
    'Content-Length': to - from,
    ...(partial ? { 'Content-Range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}),
  });
  const step = fault.slow ? 4096 : 65_536;
  for (let at = from; at < to; at += step) {
    const sent = at - from;
    const stop = Math.min(
      fault.resetAfter ?? Number.POSITIVE_INFINITY,
      fault.silentAfter ?? Number.POSITIVE_INFINITY,
    );
    const end = Math.min(to, at + step, from + stop);
    if (!response.write(bytes.subarray(at, end))) await new Promise((go) => response.once('drain', go));
    if (sent + (end - at) < stop) {
      if (fault.slow) await sleep(fault.slow);
      continue;
    }
    // What was written must leave before the connection goes.
    await sleep(5);
    if (fault.resetAfter !== undefined) response.socket?.resetAndDestroy();
    return;
  }
  response.end();
}
