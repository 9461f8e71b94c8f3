import type { Files } from '../session/ports.ts';
import type { Place } from './record.ts';

/** A pack is closed above this, so that none grows past what file systems and tabs handle well. */
const packBytes = 64 * 2 ** 20;
/** Written in pieces of about this size: a file operation each picture would take most of an import's time. */
const pieceBytes = 4 * 2 ** 20;

/**
 * Lays small files end to end in packs `<folder>.0`, `<folder>.1`, … A place holds only once `flush` has returned:
 * records must not name it before.
 */
export class PackWriter {
  readonly #files: Files;
  readonly #folder: string;
  #index: number;
  #length = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #total = 0;

  private constructor(files: Files, folder: string, index: number, length: number) {
    this.#files = files;
    this.#folder = folder;
    this.#index = index;
    this.#length = length;
  }

  /** A writer that goes on behind what is there. */
  static async open(files: Files, folder: string): Promise<PackWriter> {
    let index = 0;
    for (;;) {
      const size = await files.size(`${folder}.${index}`);
      if (size === null || size < packBytes) return new PackWriter(files, folder, index, size ?? 0);
      index++;
    }
  }

  /** Bytes added by this writer. */
  get total(): number {
    return this.#total;
  }

  async add(bytes: Uint8Array): Promise<Place> {
    if (this.#length + this.#waitingBytes >= packBytes) {
      await this.flush();
      this.#index++;
      this.#length = 0;
    }
    const begin = this.#length + this.#waitingBytes;
    const place = { pack: this.#pack, begin, end: begin + bytes.length };
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#total += bytes.length;
    if (this.#waitingBytes >= pieceBytes) await this.flush();
    return place;
  }

  async flush(): Promise<void> {
    if (this.#waitingBytes === 0) return;
    const piece = new Uint8Array(this.#waitingBytes);
    let at = 0;
    for (const bytes of this.#waiting) {
      piece.set(bytes, at);
      at += bytes.length;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    await this.#files.append(this.#pack, piece);
    this.#length += piece.length;
  }

  get #pack(): string {
    return `${this.#folder}.${this.#index}`;
  }
}

/** The bytes at a place. */
export function readPlace(files: Files, { pack, begin, end }: Place): Promise<Uint8Array> {
  return files.readRange(pack, begin, end);
}
