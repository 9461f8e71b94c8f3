import type { ByteSource } from '../../models/checkpoints/bytes.ts';
import { baseName } from '../../models/data/entry.ts';
import { sha256 } from '../datasets/view.ts';

/** A backbone that is not there, or cannot be used. */
export class BackboneError extends Error {
  override name = 'BackboneError';
  readonly advice: string | undefined;

  constructor(message: string, advice?: string) {
    super(message);
    this.advice = advice;
  }
}

/** Bytes at the start of a file that are fetched alone: a safetensors header is smaller. */
const headBytes = 128 * 1024;

/** A file on the page's own origin. Its head can be read alone; anything further brings it whole, checked and kept. */
export class RemoteFile implements ByteSource {
  readonly #url: string;
  readonly size: number;
  readonly #sha256: string;
  #head: Promise<Uint8Array> | undefined;
  #whole: Promise<Uint8Array> | undefined;

  constructor(url: string, size: number, hash: string) {
    this.#url = url;
    this.size = size;
    this.#sha256 = hash;
  }

  async read(begin: number, end: number): Promise<Uint8Array> {
    if (end > headBytes || this.size <= headBytes || this.#whole)
      return (await this.whole()).subarray(begin, end);
    this.#head ??= this.#fetchHead();
    try {
      return (await this.#head).subarray(begin, end);
    } catch (error) {
      this.#head = undefined;
      throw error;
    }
  }

  async whole(report: (done: number, total: number) => void = () => undefined): Promise<Uint8Array> {
    this.#whole ??= this.#fetchWhole(report);
    try {
      return await this.#whole;
    } catch (error) {
      this.#whole = undefined;
      throw error;
    }
  }

  async #fetchHead(): Promise<Uint8Array> {
    const answer = await this.#answer({ headers: { Range: `bytes=0-${headBytes - 1}` } });
    // A host that ignores the range sends everything; the rest of it is not waited for.
    if (answer.status === 206) return new Uint8Array(await answer.arrayBuffer());
    return firstBytes(answer, headBytes);
  }

  async #fetchWhole(report: (done: number, total: number) => void): Promise<Uint8Array> {
    const answer = await this.#answer({});
    const bytes = new Uint8Array(this.size);
    let done = 0;
    const reader = answer.body!.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (done + next.value.length > this.size) throw this.#wrong(done + next.value.length);
      bytes.set(next.value, done);
      done += next.value.length;
      report(done, this.size);
    }
    if (done !== this.size || (await sha256(bytes)) !== this.#sha256) throw this.#wrong(done);
    return bytes;
  }

  #wrong(length: number): BackboneError {
    return new BackboneError(
      `${baseName(this.#url)} arrived damaged (${length} of ${this.size} bytes, or other content).`,
      'Reload the page and try again.',
    );
  }

  async #answer(options: RequestInit): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(this.#url, options);
    } catch {
      throw new BackboneError(
        `${baseName(this.#url)} could not be fetched.`,
        'Check the connection to this page, then try again. What was used once works offline.',
      );
    }
    if (answer.ok) return answer;
    throw new BackboneError(
      `${baseName(this.#url)} could not be fetched (${answer.status}).`,
      'The page was not published whole. Build it again.',
    );
  }
}

async function firstBytes(answer: Response, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const reader = answer.body!.getReader();
  let done = 0;
  while (done < length) {
    const next = await reader.read();
    if (next.done) break;
    const part = next.value.subarray(0, length - done);
    bytes.set(part, done);
    done += part.length;
  }
  await reader.cancel();
  return bytes.subarray(0, done);
}
