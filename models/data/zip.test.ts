import fc from 'fast-check';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from '../checkpoints/bytes.ts';
import { DataError, ZipError } from './errors.ts';
import { defaultZipLimits, makeZip, readZip } from './zip.ts';

const open = (bytes: Uint8Array, limits = defaultZipLimits) => readZip(bytesSource(bytes), 'a.zip', limits);
const text = (value: string) => new TextEncoder().encode(value);

/** Replaces a name in both headers by another of the same length. */
function renamed(zip: Uint8Array, from: string, to: string, times = 2): Uint8Array {
  const out = zip.slice();
  const needle = text(from);
  for (let at = 0, done = 0; at <= out.length - needle.length && done < times; at++) {
    if (!needle.every((byte, i) => out[at + i] === byte)) continue;
    out.set(text(to), at);
    done++;
  }
  return out;
}

describe('zip', () => {
  it('gives back what was packed, stored or deflated, by the same bytes each time', async () => {
    const file = fc.tuple(
      fc.stringMatching(/^[a-z]{1,5}(\/[a-zé]{1,5})?\.(txt|png)$/),
      fc.uint8Array({ maxLength: 300 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 5 }), async (list) => {
        const files = new Map(list);
        const zip = makeZip(files);
        expect(makeZip(files)).toEqual(zip);
        const { entries, refused } = await open(zip);
        expect(refused).toEqual([]);
        expect(new Set(entries.map((e) => e.path))).toEqual(new Set(files.keys()));
        for (const entry of entries) {
          expect(await entry.bytes()).toEqual(files.get(entry.path));
          expect(await entry.head!(7)).toEqual(files.get(entry.path)!.subarray(0, 7));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('reads only the directory until an entry is asked for', async () => {
    const bytes = makeZip(new Map([['big.png', new Uint8Array(300_000).map((_, i) => (i * 7919) >> 3)]]));
    const reads: number[] = [];
    const source: ByteSource = {
      size: bytes.length,
      read: async (begin, end) => {
        reads.push(end - begin);
        return bytes.subarray(begin, end);
      },
    };
    const { entries } = await readZip(source, 'a.zip');
    expect(Math.max(...reads)).toBeLessThan(70_000);
    await entries[0].head!(10);
    expect(reads.reduce((a, b) => a + b, 0)).toBeLessThan(200_000);
    expect(await entries[0].bytes()).toHaveLength(300_000);
  });

  it.each([
    ['aa/b.txt', '../b.txt', /leads out/],
    ['aa/b.txt', '/aab.txt', /absolute/],
    ['aa/b.txt', 'C:/b.txt', /absolute/],
    ['aa/b.txt', 'aa\x01b.txt', /control characters/],
    ['aa/b.txt', 'aa/b.zip', /zip within a zip/],
  ])('refuses %s renamed to %j', async (from, to, reason) => {
    const { entries, refused } = await open(
      renamed(
        makeZip(
          new Map([
            [from, 'x'],
            ['ok.txt', 'y'],
          ]),
        ),
        from,
        to,
      ),
    );
    expect(entries.map((e) => e.path)).toEqual(['ok.txt']);
    expect(refused[0].reason).toMatch(reason);
  });

  it('passes over what systems leave, and refuses links, encryption and strange compression by name', async () => {
    const zip = zipSync({
      '__MACOSX/._a': text('x'),
      link: [text('/etc/passwd'), { os: 3, attrs: (0o120777 << 16) >>> 0 }],
      a: text('aaaa'),
    });
    const { entries, refused, junk } = await open(zip);
    expect([entries.map((e) => e.path), refused, junk]).toEqual([
      ['a'],
      [{ path: 'link', reason: 'it is a link, not a file' }],
      1,
    ]);
    const flagged = (offset: number, value: number) => {
      const bytes = makeZip(new Map([['a', 'aaaa']]));
      const directory = bytes.findLastIndex(
        (_, i) => bytes[i] === 0x50 && bytes[i + 2] === 1 && bytes[i + 3] === 2,
      );
      bytes[directory + offset] = value;
      return open(bytes);
    };
    expect((await flagged(8, 1)).refused[0].reason).toMatch(/encrypted/);
    expect((await flagged(10, 12)).refused[0].reason).toMatch(/method 12/);
  });

  it('stops a bomb by ratio, by size, by number and by overlap', async () => {
    const bomb = zipSync({ 'zeros.png': [new Uint8Array(11_000_000), { level: 9 }] });
    expect((await open(bomb)).refused[0].reason).toMatch(/times its packed size/);
    const small = makeZip(
      new Map([
        ['a', 'aaaa'],
        ['b', 'bbbb'],
      ]),
    );
    expect((await open(small, { ...defaultZipLimits, entryBytes: 3 })).refused).toHaveLength(2);
    await expect(open(small, { ...defaultZipLimits, entries: 1 })).rejects.toThrow(/holds 2 files/);
    await expect(open(small, { ...defaultZipLimits, totalBytes: 7 })).rejects.toThrow(ZipError);
  });

  it('gives no more bytes than the directory promised', async () => {
    const zip = makeZip(new Map([['a', 'a'.repeat(5000)]]));
    const view = new DataView(zip.buffer);
    for (let at = 0; at < zip.length - 4; at++)
      if (view.getUint32(at, true) === 5000) view.setUint32(at, 10, true);
    const { entries } = await open(zip);
    await expect(entries[0].bytes()).rejects.toThrow(/more comes out of the zip than the 10 bytes/);
  });

  it('notices headers that disagree and a wrong checksum', async () => {
    const zip = makeZip(new Map([['a.png', 'first']]));
    const swapped = renamed(zip, 'a.png', 'b.png', 1);
    await expect((await open(swapped)).entries[0].bytes()).rejects.toThrow(/two ways \(name\)/);
    const changed = renamed(zip, 'first', 'worst', 1);
    await expect((await open(changed)).entries[0].bytes()).rejects.toThrow(/checksum/);
  });

  it('gives a typed error or true bytes for any mutated zip', async () => {
    const base = makeZip(
      new Map([
        ['d/a.txt', 'hello '.repeat(30)],
        ['b.png', 'stored bytes'],
      ]),
    );
    const edits = fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(edits, fc.nat(base.length * 3), async (changes, cut) => {
        const bytes = base.slice(0, cut);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          const { entries } = await open(bytes);
          for (const entry of entries) await entry.bytes();
        } catch (error) {
          expect(error).toBeInstanceOf(DataError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
