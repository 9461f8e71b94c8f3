import { fileAddress, type HubModel, listAddress } from './address.ts';
import { HubError, refusalError } from './errors.ts';
import { Attempts, type Patience, retryAfter, patience as usual } from './patience.ts';
import type { HubAnswer, HubFetch } from './port.ts';

export interface ClientOptions {
  readonly fetch: HubFetch;
  /** Sent with every request and kept nowhere. */
  readonly token?: string | undefined;
  readonly signal: AbortSignal;
  readonly patience?: Patience;
  /** Hears of a wait before another try. */
  waiting?(why: string, milliseconds: number): void;
  /** Milliseconds since 1970. */
  now?(): number;
}

/** A file as a hub lists it; what it does not tell is null. */
export interface HubFile {
  readonly path: string;
  readonly size: number | null;
  /** Of its content, hexadecimal: told of large files. */
  readonly sha256: string | null;
  /** Git's name of its content, hexadecimal: told of small files. */
  readonly gitSha1: string | null;
}

export interface HubListing {
  /** The commit that the revision stands for now. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** Bytes of a list or a configuration; more is no such file. */
const maxText = 64_000_000;

/** Asks a hub for one model's list and files, bearing with connections that break and servers that are busy. */
export class HubClient {
  readonly model: HubModel;
  readonly #options: ClientOptions;
  readonly #patience: Patience;

  constructor(model: HubModel, options: ClientOptions) {
    this.model = model;
    this.#options = options;
    this.#patience = options.patience ?? usual;
  }

  attempts(): Attempts {
    return new Attempts(this.#patience, this.#options.signal, this.#options.waiting ?? (() => undefined));
  }

  /** The same model at another revision. */
  at(revision: string): HubClient {
    return new HubClient({ ...this.model, revision }, this.#options);
  }

  /** Commit and files of the revision. */
  async list(): Promise<HubListing> {
    const text = await this.#text(listAddress(this.model), 'the list');
    const listing = readListing(text);
    if (listing) return listing;
    throw new HubError(
      `${this.model.hub} sent no list of files for ${this.model.id}.`,
      'Check the hub’s address: it may be no hub, or a proxy may have answered in its place.',
    );
  }

  /** Bytes `begin` to `end` of a file, whole. */
  async range(file: string, begin: number, end: number): Promise<Uint8Array> {
    const attempts = this.attempts();
    const bytes = new Uint8Array(end - begin);
    for (let have = 0; ; ) {
      const answer = await this.open(file, begin + have, end, null, attempts);
      // A host that ignores ranges sends everything from the start.
      let skip = answer.status === 200 ? begin + have : 0;
      try {
        for (let piece = await this.piece(answer); piece && have < bytes.length; ) {
          const useful = piece.subarray(Math.min(skip, piece.length)).subarray(0, bytes.length - have);
          skip = Math.max(0, skip - piece.length);
          bytes.set(useful, have);
          have += useful.length;
          attempts.came(useful.length);
          piece = have < bytes.length ? await this.piece(answer) : null;
        }
      } catch (error) {
        await this.#broken(error, attempts, file);
        continue;
      } finally {
        await answer.close();
      }
      if (have === bytes.length) return bytes;
      await attempts.failed({ why: 'it ended too early' }, file);
    }
  }

  /**
   * Opens a file's bytes from `begin` to `end` (null: its end), waiting and asking again where the hub is busy.
   * Gives an answer with status 200, 206 or 416. `etag` asks for the rest of that very content. Throws `HubError`.
   */
  async open(
    file: string,
    begin: number,
    end: number | null,
    etag: string | null,
    attempts: Attempts,
  ): Promise<HubAnswer> {
    const headers: Record<string, string> = { Range: `bytes=${begin}-${end === null ? '' : end - 1}` };
    if (etag) headers['If-Range'] = etag;
    return this.#ask(fileAddress(this.model, file), headers, file, attempts);
  }

  /** The next piece of a body. Throws where nothing comes for too long. */
  async piece(answer: HubAnswer): Promise<Uint8Array | null> {
    return this.#inTime(answer.read());
  }

  async #text(url: string, what: string): Promise<string> {
    const attempts = this.attempts();
    for (;;) {
      const answer = await this.#ask(url, {}, what, attempts);
      const decoder = new TextDecoder();
      let text = '';
      try {
        for (let piece = await this.piece(answer); piece; piece = await this.piece(answer)) {
          text += decoder.decode(piece, { stream: true });
          if (text.length > maxText) break;
        }
        return text;
      } catch (error) {
        await this.#broken(error, attempts, what);
      } finally {
        await answer.close();
      }
    }
  }

  async #broken(error: unknown, attempts: Attempts, what: string): Promise<void> {
    this.#options.signal.throwIfAborted();
    await attempts.failed({ why: brokenWhy(error) }, what);
  }

  async #ask(
    url: string,
    headers: Readonly<Record<string, string>>,
    what: string,
    attempts: Attempts,
  ): Promise<HubAnswer> {
    const { fetch, token, signal } = this.#options;
    const { hub } = this.model;
    const sent = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
    for (;;) {
      signal.throwIfAborted();
      // Its own signal, so that a request that is never answered can be let go alone.
      const own = new AbortController();
      let answer: HubAnswer;
      try {
        answer = await this.#inTime(fetch(url, sent, AbortSignal.any([signal, own.signal])));
      } catch (error) {
        own.abort();
        signal.throwIfAborted();
        const why = error instanceof Silence ? error.message : `${hub} could not be reached`;
        await attempts.failed({ why }, what);
        continue;
      }
      const { status } = answer;
      if ([200, 206, 416].includes(status)) return answer;
      await answer.close();
      await this.#refused(answer, what, attempts);
    }
  }

  /** Waits where another try may help; throws `HubError` otherwise. */
  async #refused(answer: HubAnswer, what: string, attempts: Attempts): Promise<void> {
    const { status } = answer;
    const { hub, id, revision } = this.model;
    if (status === 429 || status === 408 || status >= 500) {
      const now = this.#options.now?.() ?? Date.now();
      const why = status === 429 ? `${hub} has had too many requests (429)` : `${hub} answered ${status}`;
      return attempts.failed({ why, status, pause: retryAfter(answer.header('Retry-After'), now) }, what);
    }
    throw refusalError({
      status,
      what,
      model: revision === 'main' ? id : `${id}@${revision}`,
      hub,
      code: answer.header('X-Error-Code'),
      withToken: Boolean(this.#options.token),
    });
  }

  /** Gives up on what stays silent: a connection may stay open for ever and bring nothing. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const { silence } = this.#patience;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Silence(silence)), silence);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

class Silence extends Error {
  constructor(milliseconds: number) {
    super(`nothing came for ${Math.round(milliseconds / 1000)} s`);
  }
}

/** Why a body ended before its end. */
export function brokenWhy(error: unknown): string {
  return error instanceof Silence ? error.message : 'the connection broke';
}

function readListing(text: string): HubListing | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  const { sha, siblings } = (parsed ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== 'string' || !/^[0-9a-f]{40,64}$/.test(sha) || !Array.isArray(siblings)) return null;
  return { commit: sha, files: siblings.flatMap(readSibling) };
}

function readSibling(sibling: unknown): HubFile[] {
  const { rfilename, size, blobId, lfs } = (sibling ?? {}) as Record<string, unknown>;
  if (typeof rfilename !== 'string') return [];
  const large = (lfs ?? {}) as Record<string, unknown>;
  const hash = (value: unknown, length: number) =>
    typeof value === 'string' && value.length === length && /^[0-9a-f]+$/.test(value) ? value : null;
  const sha256 = hash(large.sha256 ?? large.oid, 64);
  const bytes = large.size ?? size;
  return [
    {
      path: rfilename,
      size: typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : null,
      sha256,
      // Of a large file git knows only the pointer to it.
      gitSha1: sha256 ? null : hash(blobId, 40),
    },
  ];
}
