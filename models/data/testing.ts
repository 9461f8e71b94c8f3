import { bytesEntry, type FileEntry } from './entry.ts';

/** The start of a PNG: enough for a file to be taken as a picture where nothing decodes it. */
export const pngStart = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3);

/** Entries for tests: a path alone is a picture; text and bytes are what they are. */
export function entries(files: readonly (string | [string, string | Uint8Array])[]): FileEntry[] {
  return files.map((file) => {
    if (typeof file === 'string') return bytesEntry(file, pngStart);
    const [path, content] = file;
    return bytesEntry(path, typeof content === 'string' ? new TextEncoder().encode(content) : content);
  });
}
