import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Files } from '../session/ports.ts';
import { brokenWhy, type HubClient } from './client.ts';
import { HubError } from './errors.ts';
import type { Attempts } from './patience.ts';
import type { HubAnswer } from './port.ts';
import { startOf, totalOf } from './remote.ts';
import type { DownloadFile } from './state.ts';

/** Where a file's bytes go, and who hears of them. */
export interface Sink {
  readonly files: Files;
  /** Its name in storage. */
  readonly name: string;
  readonly signal: AbortSignal;
  /** Hears how many bytes are stored. */
  came(bytes: number): void;
  /** Hears how many of the bytes that were here already have been read again. */
  checking(bytes: number): void;
  /** Keeps the ETag under which the file comes. */
  tagged(etag: string | null): Promise<void>;
}

/** Bytes that one request asks for: signed addresses behind a hub live minutes, not hours. */
const rangeBytes = 256 * 2 ** 20;
/** Bytes that are put into storage at once. */
const pieceBytes = 4 * 2 ** 20;
/** A file that is read whole into memory is a list of tokens at most. */
const maxSmall = 256_000_000;
/** A file that arrives damaged is fetched anew this often. */
const damages = 2;

/** One file of a model: fetched from where it stopped, checked against size and hash. */
export class FileDownload {
  readonly #client: HubClient;
  readonly #file: DownloadFile;
  readonly #sink: Sink | undefined;

  constructor(client: HubClient, file: DownloadFile, sink?: Sink) {
    this.#client = client;
    this.#file = file;
    this.#sink = sink;
  }

  /** The whole file in memory, checked. */
  async small(): Promise<Uint8Array> {
    const { path } = this.#file;
    for (let damage = 1; ; damage++) {
      const bytes = await this.#whole();
      const hashes = new Hashes(bytes.length);
      hashes.add(bytes);
      const wrong = this.#wrong(hashes, bytes.length);
      if (!wrong) return bytes;
      if (damage === damages) throw this.#damaged(path, wrong);
    }
  }

  /** Brings the file into storage, whole. Gives its SHA-256. */
  async stored(): Promise<string> {
    const { path, done, size } = this.#file;
    const { files, name, came } = this.#sink!;
    if (done && (await files.size(name)) === size) {
      came(size ?? 0);
      return done;
    }
    for (let damage = 1; ; damage++) {
      const hashes = await this.#resumed();
      await this.#rest(hashes);
      const wrong = this.#wrong(hashes, hashes.bytes);
      if (!wrong) return hashes.sha256();
      // Nothing of it can be trusted: which byte is wrong is not known.
      await files.write(name, new Uint8Array());
      if (damage === damages) throw this.#damaged(path, wrong);
    }
  }

  /** Reads again what an earlier try stored, so that the hash covers every byte. */
  async #resumed(): Promise<Hashes> {
    const { files, name, checking, signal } = this.#sink!;
    const { size } = this.#file;
    const have = (await files.size(name)) ?? 0;
    if (have > (size ?? Number.POSITIVE_INFINITY)) {
      await files.write(name, new Uint8Array());
      return new Hashes(size);
    }
    const hashes = new Hashes(size);
    for (let at = 0; at < have; at += pieceBytes) {
      signal.throwIfAborted();
      hashes.add(await files.readRange(name, at, Math.min(have, at + pieceBytes)));
      checking(hashes.bytes);
    }
    return hashes;
  }

  /** Fetches what is missing behind the bytes that `hashes` has seen. */
  async #rest(hashes: Hashes): Promise<void> {
    const { path } = this.#file;
    const size = this.#file.size!;
    const client = this.#client;
    const attempts = client.attempts();
    let etag = this.#file.etag;
    while (hashes.bytes < size) {
      const from = hashes.bytes;
      const to = Math.min(size, from + rangeBytes);
      const answer = await client.open(path, from, to, from > 0 ? etag : null, attempts);
      let why = 'it ended too early';
      try {
        const tag = answer.header('ETag');
        const told = totalOf(answer.header('Content-Range'));
        if (told !== null && told !== size) throw this.#sizeChanged(told);
        if (answer.status === 416 || (from > 0 && etag !== null && tag !== null && tag !== etag)) {
          await this.#forget(hashes);
          etag = null;
          await attempts.failed({ why: 'its content changed on the hub' }, path);
          continue;
        }
        if (tag !== etag) await this.#sink!.tagged(tag);
        etag = tag;
        await this.#pour(answer, hashes, size, attempts);
      } catch (error) {
        this.#sink!.signal.throwIfAborted();
        if (error instanceof HubError || isOfStorage(error)) throw error;
        why = brokenWhy(error);
      } finally {
        await answer.close();
      }
      if (hashes.bytes < to) await attempts.failed({ why }, path);
    }
  }

  /** Puts a body into storage as it comes. What came before a connection broke is kept. */
  async #pour(answer: HubAnswer, hashes: Hashes, size: number, attempts: Attempts): Promise<void> {
    const from = hashes.bytes;
    // A host that ignores the range sends everything: what is here already is let by.
    const start = answer.status === 206 ? (startOf(answer.header('Content-Range')) ?? from) : 0;
    if (start > from) throw new Error('The answer begins behind what was asked for.');
    const pieces = new Pieces(from - start, size - from);
    try {
      for (;;) {
        const piece = pieces.full ? null : await this.#client.piece(answer);
        if (!piece) break;
        attempts.came(pieces.take(piece));
        this.#sink!.came(hashes.bytes + pieces.ready);
        if (pieces.ready >= pieceBytes) await this.#keep(pieces.give(), hashes);
      }
    } finally {
      if (pieces.ready > 0) await this.#keep(pieces.give(), hashes);
    }
  }

  async #forget(hashes: Hashes): Promise<void> {
    await this.#sink!.files.write(this.#sink!.name, new Uint8Array());
    hashes.reset();
  }

  async #keep(bytes: Uint8Array, hashes: Hashes): Promise<void> {
    const { files, name } = this.#sink!;
    await files.append(name, bytes);
    hashes.add(bytes);
  }

  async #whole(): Promise<Uint8Array> {
    const { path } = this.#file;
    const client = this.#client;
    const attempts = client.attempts();
    for (;;) {
      const answer = await client.open(path, 0, null, null, attempts);
      const parts: Uint8Array[] = [];
      let length = 0;
      try {
        // A range of an empty file cannot be satisfied.
        if (answer.status === 416) return new Uint8Array();
        for (let piece = await client.piece(answer); piece; piece = await client.piece(answer)) {
          parts.push(piece);
          length += piece.length;
          attempts.came(piece.length);
          if (length > maxSmall)
            throw new HubError(`${path} is larger than any such file.`, 'Choose another model.');
        }
        const told = totalOf(answer.header('Content-Range'));
        if (told === null || told === length) return joined(parts, length);
        await attempts.failed({ why: 'it ended too early' }, path);
      } catch (error) {
        if (error instanceof HubError) throw error;
        await attempts.failed({ why: brokenWhy(error) }, path);
      } finally {
        await answer.close();
      }
    }
  }

  /** What is wrong with a whole file; undefined where everything agrees that is known of it. */
  #wrong(hashes: Hashes, bytes: number): string | undefined {
    const { size, sha256: wanted, gitSha1 } = this.#file;
    if (size !== null && bytes !== size) return `${bytes} bytes came, ${size} are listed`;
    if (wanted && hashes.sha256() !== wanted) return 'its SHA-256 is another than the hub lists';
    if (gitSha1 && (hashes.git() ?? gitSha1) !== gitSha1) return 'its hash is another than the hub lists';
    return undefined;
  }

  #damaged(path: string, wrong: string): HubError {
    return new HubError(
      `${path} arrived damaged ${damages} times: ${wrong}. Nothing of it was kept.`,
      'Try another network or mirror; something on the way changes what it sends.',
    );
  }

  #sizeChanged(told: number): HubError {
    return new HubError(
      `${this.#file.path} has ${told} bytes on the hub, but its list says ${this.#file.size}.`,
      'The mirror holds another version than it lists. Use another one.',
    );
  }
}

function isOfStorage(error: unknown): boolean {
  return error instanceof Error && /^Storage|^Quota/.test(error.name);
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Gathers small pieces of a body into larger ones: without the first `skip` bytes, and `limit` at most. */
class Pieces {
  #parts: Uint8Array[] = [];
  #skip: number;
  #left: number;
  ready = 0;

  constructor(skip: number, limit: number) {
    this.#skip = skip;
    this.#left = limit;
  }

  get full(): boolean {
    return this.#left === 0;
  }

  /** Gives how many bytes of the piece are kept. */
  take(piece: Uint8Array): number {
    const skipped = Math.min(this.#skip, piece.length);
    this.#skip -= skipped;
    const useful = piece.subarray(skipped, skipped + this.#left);
    if (useful.length) this.#parts.push(useful);
    this.#left -= useful.length;
    this.ready += useful.length;
    return useful.length;
  }

  give(): Uint8Array {
    const bytes = joined(this.#parts, this.ready);
    this.#parts = [];
    this.ready = 0;
    return bytes;
  }
}

/** A file's hashes, fed as it comes. Git names a content by the SHA-1 of its length and its bytes. */
class Hashes {
  readonly #size: number | null;
  #sha256 = sha256.create();
  #git: ReturnType<typeof sha1.create> | undefined;
  bytes = 0;

  constructor(size: number | null) {
    this.#size = size;
    this.reset();
  }

  add(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#git?.update(bytes);
    this.bytes += bytes.length;
  }

  sha256(): string {
    return bytesToHex(this.#sha256.clone().digest());
  }

  /** Undefined for large files, and where the size was not known from the start. */
  git(): string | undefined {
    return this.#git && bytesToHex(this.#git.clone().digest());
  }

  reset(): void {
    this.#sha256 = sha256.create();
    // Large files are known by their SHA-256; only small ones need git's name.
    const small = this.#size !== null && this.#size < 64_000_000;
    this.#git = small ? sha1.create().update(new TextEncoder().encode(`blob ${this.#size}\0`)) : undefined;
    this.bytes = 0;
  }
}
