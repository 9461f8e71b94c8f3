import { deflateSync } from 'node:zlib';
import { decodePng } from '../models/data/png.ts';
import { crc32 } from '../models/data/zipDirectory.ts';

/**
 * A screenshot as a PNG of at most 256 colours, a third to a quarter of its size: the most frequent ones, all others
 * taken to the nearest of them. For pictures of a page, which has few colours and their blends.
 */
export function shrinkPng(png: Uint8Array): Uint8Array {
  const { width, height, data } = decodePng(png);
  const counts = new Map<number, number>();
  for (let i = 0; i < data.length; i += 3) {
    const colour = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const palette = choosePalette(counts);
  const indexOf = new Map<number, number>();
  for (const colour of counts.keys()) indexOf.set(colour, nearest(palette, colour));

  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 3) {
      rows[y * (width + 1) + 1 + x] = indexOf.get((data[i] << 16) | (data[i + 1] << 8) | data[i + 2])!;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(palette.flatMap((c) => [c >> 16, (c >> 8) & 255, c & 255]))),
    chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The most frequent colours; a cell of the cube gives its first before any cell gives its second. */
function choosePalette(counts: ReadonlyMap<number, number>): number[] {
  const byCount = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([colour]) => colour);
  if (byCount.length <= 256) return byCount;
  const cells = new Set<number>();
  const first: number[] = [];
  const later: number[] = [];
  for (const colour of byCount) {
    const cell = (colour >> 4) & 0x0f0f0f;
    (cells.has(cell) ? later : first).push(colour);
    cells.add(cell);
  }
  // The twelve most frequent are surfaces and inks: they keep their exact values.
  return [...new Set([...byCount.slice(0, 12), ...first, ...later])].slice(0, 256);
}

function nearest(palette: readonly number[], colour: number): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [i, p] of palette.entries()) {
    const d =
      ((p >> 16) - (colour >> 16)) ** 2 +
      (((p >> 8) & 255) - ((colour >> 8) & 255)) ** 2 +
      ((p & 255) - (colour & 255)) ** 2;
    if (d < least) [least, best] = [d, i];
    if (d === 0) break;
  }
  return best;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  out.set(body, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
