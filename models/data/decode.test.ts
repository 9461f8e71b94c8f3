import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeCodecs } from '../../tools/codecs/node.ts';
import { bytesSource, readSafetensors } from '../checkpoints/safetensors.ts';
import { makeDecoder } from './decode.ts';
import { encodePng } from './encodePng.ts';
import { DecodeError } from './errors.ts';
import { crc32 } from './zipDirectory.ts';

const fixtures = join(import.meta.dirname, 'fixtures');
const reference = join(import.meta.dirname, '../../tools/reference/fixtures/images');
const expected: Record<string, { width: number; height: number; sha256: string }> = JSON.parse(
  readFileSync(join(fixtures, 'expected.json'), 'utf8'),
).pictures;
const decode = makeDecoder(await nodeCodecs());
const read = (...path: string[]) => new Uint8Array(readFileSync(join(...path)));
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('decode', () => {
  it.each(Object.keys(expected))('gives Pillow’s pixels for %s', async (name) => {
    const { width, height, data } = await decode(read(fixtures, name), name);
    expect({ width, height, sha256: digest(data) }).toEqual(expected[name]);
  });

  it('gives the reference’s pixels for each of its pictures', async () => {
    const checkpoint = await readSafetensors(bytesSource(read(reference, 'expected.safetensors')));
    const names = readdirSync(reference).filter((name) => /\.(jpg|png|webp)$/.test(name));
    expect(names.length).toBeGreaterThan(5);
    for (const name of names) {
      const { width, height, data } = await decode(read(reference, name), name);
      expect([height, width, 3]).toEqual(checkpoint.info(`${name}/rgb`).shape);
      expect(digest(data), name).toBe(digest(await checkpoint.bytes(`${name}/rgb`)));
    }
  });

  it.each([
    ['moving.webp', /animated WebP/],
    ['print.jpg', /CMYK/],
    ['picture.gif', /GIF pictures are not read/],
    ['picture.bmp', /BMP pictures are not read/],
    ['cut.jpg', /JPEG cannot be decoded: Premature end/],
    ['cut.png', /PNG cannot be decoded: it ends before its last row/],
  ])('refuses %s by name', async (name, reason) => {
    await expect(decode(read(fixtures, 'refused', name), name)).rejects.toThrow(reason);
    await expect(decode(read(fixtures, 'refused', name), name)).rejects.toBeInstanceOf(DecodeError);
  });

  it('reads the size before it decodes, and refuses 100 megapixels', async () => {
    const png = encodePng({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3) });
    const view = new DataView(png.buffer);
    view.setUint32(16, 20_000);
    view.setUint32(20, 20_000);
    view.setUint32(29, crc32(png.subarray(12, 29)));
    await expect(decode(png, 'big.png')).rejects.toThrow('big.png: it has 20000 × 20000 pixels');
  });

  it('keeps 16-bit grey in scale', async () => {
    const rows = Uint8Array.of(0, 0x12, 0x34, 0xff, 0x00);
    const png = withData(2, 1, 16, 0, rows);
    expect([...(await decode(png, 'x.png')).data]).toEqual([0x12, 0x12, 0x12, 0xff, 0xff, 0xff]);
  });

  it('reads back the PNGs it writes', async () => {
    const side = fc.integer({ min: 1, max: 9 });
    await fc.assert(
      fc.asyncProperty(side, side, fc.integer(), async (width, height, seed) => {
        const data = new Uint8Array(width * height * 3).map((_, i) => (i * 31 + seed) & 255);
        expect(await decode(encodePng({ width, height, data }), 'x.png')).toEqual({ width, height, data });
      }),
      { numRuns: 30 },
    );
  });

  it.each(['progressive.jpg', 'rgb-interlaced.png', 'palette-4.png', 'lossy-alpha.webp'])(
    'gives a typed error or a picture for any damage to %s, and the next picture still decodes',
    async (name) => {
      const base = read(fixtures, name);
      const edit = fc.tuple(fc.nat(base.length - 1), fc.nat(255));
      await fc.assert(
        fc.asyncProperty(
          fc.array(edit, { minLength: 1, maxLength: 4 }),
          fc.nat(base.length * 2),
          async (edits, cut) => {
            const bytes = base.slice(0, cut);
            for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
            if (name.endsWith('png')) mendChecksums(bytes);
            const outcome = await decode(bytes, name).catch((error: unknown) => error);
            if (outcome instanceof Error) expect(outcome).toBeInstanceOf(DecodeError);
          },
        ),
        { numRuns: 150 },
      );
      expect(digest((await decode(base, name)).data)).toBe(expected[name].sha256);
    },
  );
});

/** Makes every part's checksum right, so that damage reaches what lies behind it. */
function mendChecksums(png: Uint8Array): void {
  const view = new DataView(png.buffer);
  for (let at = 8; at + 12 <= png.length; ) {
    const end = at + 12 + view.getUint32(at);
    if (end > png.length) return;
    view.setUint32(end - 4, crc32(png.subarray(at + 4, end - 4)));
    at = end;
  }
}

function withData(
  width: number,
  height: number,
  depth: number,
  colour: number,
  rows: Uint8Array,
): Uint8Array {
  const png = encodePng({ width: 1, height: 1, data: Uint8Array.of(0, 0, 0) });
  const view = new DataView(png.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  png.set([depth, colour], 24);
  const stored = Uint8Array.of(0x78, 1, 1, rows.length, 0, ~rows.length & 255, 255, ...rows, 0, 0, 0, 0);
  const data = new Uint8Array(12 + stored.length);
  new DataView(data.buffer).setUint32(0, stored.length);
  data.set([0x49, 0x44, 0x41, 0x54], 4);
  data.set(stored, 8);
  const out = Uint8Array.from([...png.subarray(0, 33), ...data, ...png.subarray(-12)]);
  mendChecksums(out);
  return out;
}
