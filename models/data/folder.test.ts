import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byCodePoint, bytesEntry } from './entry.ts';
import { type LabelledFiles, readLabelledFolder } from './folder.ts';
import { entries } from './testing.ts';

const read = (...files: Parameters<typeof entries>[0]) => readLabelledFolder(entries(files));
/** path -> [class, split] */
const table = ({ classes, samples }: LabelledFiles) =>
  Object.fromEntries(samples.map((s) => [s.path, [classes[s.label] ?? null, s.split ?? null]]));

describe('a folder of labelled sounds', () => {
  const wav = (path: string): [string, Uint8Array] => [path, new TextEncoder().encode('RIFF....WAVEfmt ')];

  it('is one where sounds are more than pictures', async () => {
    const found = await read(
      wav('s/train/a/1.wav'),
      wav('s/train/b/2.wav'),
      wav('s/test/a/3.wav'),
      's/cover.png',
    );
    expect(found.kind).toBe('audio');
    expect(table(found)).toEqual({
      'test/a/3.wav': ['a', 'test'],
      'train/a/1.wav': ['a', 'train'],
      'train/b/2.wav': ['b', 'train'],
    });
    expect(found.rejected).toEqual([{ path: 'cover.png', reason: 'it is a picture, not a sound' }]);
    expect(found.notes[0]).toBe('Each folder is a class: 2 classes, 3 sounds.');
  });

  it('is one of pictures where those are more', async () => {
    const found = await read('a/1.png', 'b/2.png', wav('a/1.wav'));
    expect(found.kind).toBe('image');
    expect(found.rejected).toEqual([{ path: 'a/1.wav', reason: 'it is a sound, not a picture' }]);
  });
});

describe('a folder of labelled pictures', () => {
  it('takes one folder for a class and ignores the root that all share', async () => {
    const found = await read(
      'photos/dog/2.png',
      'photos/cat/1.png',
      'photos/dog/1.png',
      'photos/.DS_Store',
      '__MACOSX/photos/._1.png',
    );
    expect(table(found)).toEqual({
      'cat/1.png': ['cat', null],
      'dog/1.png': ['dog', null],
      'dog/2.png': ['dog', null],
    });
    expect(found.samples.map((s) => s.path)).toEqual(['cat/1.png', 'dog/1.png', 'dog/2.png']);
    expect(found.rejected).toEqual([]);
    expect(found.notes).toEqual([
      'Each folder is a class: 2 classes, 3 pictures.',
      '2 hidden files that the system left (such as .DS_Store) were passed over.',
    ]);
  });

  it('reads a level of splits above the classes', async () => {
    const found = await read('d/train/a/1.png', 'd/validation/a/2.png', 'd/Test/b/3.png');
    expect(table(found)).toEqual({
      'train/a/1.png': ['a', 'train'],
      'validation/a/2.png': ['a', 'val'],
      'Test/b/3.png': ['b', 'test'],
    });
    expect(found.notes).toContain('The split comes from the folders: train 1, val 1, test 1.');
  });

  it('keeps a lone train folder as a split, and a folder called "test" beside classes as a class', async () => {
    expect(table(await read('train/a/1.png', 'train/b/1.png'))).toEqual({
      'train/a/1.png': ['a', 'train'],
      'train/b/1.png': ['b', 'train'],
    });
    expect(table(await read('test/1.png', 'cat/1.png'))).toEqual({
      'test/1.png': ['test', null],
      'cat/1.png': ['cat', null],
    });
  });

  it('gives loose pictures no label', async () => {
    const found = await read('x/1.png', 'x/2.png');
    expect(found.classes).toEqual([]);
    expect(found.samples.map((s) => s.label)).toEqual([-1, -1]);
    expect(found.notes[0]).toMatch(/2 pictures lie in no class folder/);
  });

  it('counts pictures in deeper folders for the outer class', async () => {
    const found = await read('a/x/1.png', 'b/2.png');
    expect(table(found)).toEqual({ 'a/x/1.png': ['a', null], 'b/2.png': ['b', null] });
    expect(found.notes[1]).toMatch(/1 picture lies in folders within a class folder/);
  });

  it('refuses by content, each file by name and with its reason', async () => {
    const bytes = (...values: number[]) => Uint8Array.from([...values, ...new Uint8Array(12)]);
    const found = await read(
      'a/ok.png',
      ['a/empty.jpg', ''],
      ['a/page.jpg', '<html>'],
      ['a/moving.png', 'GIF89a'],
      ['a/photo.png', Uint8Array.from([0, 0, 0, 24, ...new TextEncoder().encode('ftypheic')])],
      ['a/weights.png', bytes(0x80, 2)],
      ['a/more.png', bytes(0x50, 0x4b, 3, 4)],
      ['a/drawing.svg', '<svg xmlns="x">'],
      ['a/noise.jpg', bytes(1, 2, 3)],
      'a/ok.png',
    );
    expect(found.samples).toHaveLength(1);
    expect(Object.fromEntries(found.rejected.map((r) => [r.path, r.reason]))).toEqual({
      'drawing.svg': expect.stringMatching(/SVG/),
      'empty.jpg': 'it is empty (0 bytes)',
      'more.png': expect.stringMatching(/zip within/),
      'moving.png': expect.stringMatching(/GIF pictures are not read; save it as PNG/),
      'noise.jpg': expect.stringMatching(/no picture that is known/),
      'ok.png': expect.stringMatching(/same path/),
      'page.jpg': 'it is a text file, not a picture',
      'photo.png': expect.stringMatching(/HEIC/),
      'weights.png': expect.stringMatching(/pickle/),
    });
  });

  it('lists a file that cannot be read and goes on', async () => {
    const broken = { path: 'a/x.png', size: 9, bytes: () => Promise.reject(new Error('gone')) };
    const found = await readLabelledFolder([...entries(['a/1.png', 'b/1.png']), broken]);
    expect(found.rejected).toEqual([{ path: 'a/x.png', reason: 'it could not be read (gone)' }]);
    expect(found.samples).toHaveLength(2);
  });
});

describe('tables of labels', () => {
  it.each([
    ['a plain header', 'labels.csv', 'file,label\n1.png,cat\nsub/2.png,dog\n'],
    [
      'other names, quotes and a byte order mark',
      'labels.csv',
      '\ufeffClass;Image Path\r\n"cat";1.png\r\ndog;sub/2.png\r\n',
    ],
    ['tabs', 'labels.tsv', 'filename\tcategory\n1.png\tcat\nsub/2.png\tdog\n'],
    ['names without extension', 'labels.csv', 'id,label\n1,cat\n2,dog\n'],
    ['no header', 'labels.csv', '1.png,cat\nsub/2.png,dog\n'],
    [
      'JSON lines',
      'metadata.jsonl',
      '{"file_name":"1.png","label":"cat"}\n\n{"file_name":"sub/2.png","label":"dog"}\n',
    ],
  ])('reads %s', async (_, name, text) => {
    const found = await read('d/1.png', 'd/sub/2.png', [`d/${name}`, text]);
    expect(table(found)).toEqual({ '1.png': ['cat', null], 'sub/2.png': ['dog', null] });
    expect(found.rejected).toEqual([]);
    expect(found.notes[0]).toMatch(/^Labels come from /);
  });

  it('finds files from the table’s own folder, and takes the split of the folder or of a column', async () => {
    const found = await read(
      'train/1.png',
      'test/1.png',
      'test/2.png',
      ['train/metadata.csv', 'file_name,label\n1.png,cat\n'],
      [
        'test/metadata.jsonl',
        '{"file_name":"1.png","label":0}\n{"file_name":"2.png","label":1,"split":"validation"}\n',
      ],
    );
    expect(table(found)).toEqual({
      'train/1.png': ['cat', 'train'],
      'test/1.png': ['0', 'test'],
      'test/2.png': ['1', 'val'],
    });
  });

  it('says which rows do not fit, and leaves unlisted pictures unlabelled', async () => {
    const found = await read(
      '1.png',
      '2.png',
      ['l.csv', 'file,label\n1.png,cat\nnone.png,dog\n1.png,dog\n'],
      ['m.jsonl', '{"file_name":"1.png","label":"cat"}\nnot json\n'],
    );
    expect(found.rejected).toEqual([
      { path: 'l.csv line 3', reason: 'it names "none.png", which is not among the pictures' },
      { path: 'l.csv line 4', reason: 'it gives "1.png" a second label, "dog"; the first one is kept' },
      { path: 'm.jsonl line 2', reason: expect.stringMatching(/not a JSON object/) },
    ]);
    expect(table(found)['2.png']).toEqual([null, null]);
    expect(found.notes).toContain('1 picture has no label in the table and will not be trained on.');
  });

  it('takes a text column for the class only where texts repeat', async () => {
    const names = ['1.png', '2.png', '3.png', '4.png'];
    const csv = (texts: string[]) => `file_name,text\n${names.map((n, i) => `${n},${texts[i]}`).join('\n')}`;
    expect((await read(...names, ['metadata.csv', csv(['cat', 'dog', 'cat', 'dog'])])).classes).toEqual([
      'cat',
      'dog',
    ]);
    const captions = await read(...names, ['metadata.csv', csv(['a cat', 'my dog', 'two', 'one'])]);
    expect(captions.classes).toEqual([]);
    expect(captions.notes[0]).toMatch(/no column of labels/);
  });

  it('refuses a table that has nothing to do with the pictures', async () => {
    const found = await read(
      'a/1.png',
      'b/1.png',
      ['weather.csv', 'day,rain\n1,2\n'],
      ['other.csv', 'file,label\nx.png,1\n'],
    );
    expect(found.classes).toEqual(['a', 'b']);
    expect(found.rejected.map((r) => r.reason)).toEqual([
      'none of the files that its column "file" names is in the drop',
      expect.stringMatching(/no column of file names .* found day, rain/),
    ]);
  });
});

describe('any table at all', () => {
  it('is read or refused with a reason, and never keeps the pictures from being read', async () => {
    const cell = fc.oneof(
      fc.constantFrom('file', 'label', '1.png', 'a/2.png', '', '"', '\n', ',', '\t', '{"file_name":'),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(cell, { maxLength: 12 }),
        fc.constantFrom('t.csv', 't.tsv', 't.jsonl'),
        async (cells, name) => {
          const found = await read('1.png', 'a/2.png', [name, cells.join(',')]);
          expect(found.samples.map((s) => s.path)).toEqual(['1.png', 'a/2.png']);
          for (const { reason } of found.rejected) expect(reason).not.toBe('');
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('order', () => {
  it('is by code point, whatever the order of the drop', async () => {
    const part = fc.string({
      unit: fc.constantFrom('a', 'B', 'é', '\uffee', '😀', '1', ' ', '-'),
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.tuple(part, part).map(([a, b]) => `${a}/${b}`),
          { minLength: 1, maxLength: 8 },
        ),
        async (paths) => {
          const one = await read(...paths);
          const other = await read(...[...paths].reverse());
          expect(other.samples.map((s) => [s.path, s.label])).toEqual(
            one.samples.map((s) => [s.path, s.label]),
          );
          const points = (text: string) => [...text].map((c) => c.codePointAt(0)!);
          const less = (a: number[], b: number[]): number => {
            const at = a.findIndex((x, i) => x !== b[i]);
            return at < 0 ? a.length - b.length : (a[at] ?? -1) - (b[at] ?? -1);
          };
          for (const a of paths)
            for (const b of paths)
              expect(Math.sign(byCodePoint(a, b))).toBe(Math.sign(less(points(a), points(b))));
        },
      ),
      { numRuns: 40 },
    );
  });
});

const shared = join(import.meta.dirname, '../../../shared/data/sign-digits');
describe.skipIf(!existsSync(shared))('sign-digits (../shared/data)', () => {
  it('is understood whole', async () => {
    const paths = readdirSync(shared, { recursive: true, withFileTypes: true }).filter((f) => f.isFile());
    const found = await readLabelledFolder(
      paths.map((f) =>
        bytesEntry(
          join(f.parentPath, f.name).slice(shared.length + 1),
          readFileSync(join(f.parentPath, f.name)),
        ),
      ),
    );
    expect(found.classes).toEqual([...'0123456789']);
    expect(found.samples.filter((s) => s.split === 'train')).toHaveLength(600);
    expect(found.samples.filter((s) => s.split === 'test')).toHaveLength(200);
    expect(found.rejected.map((r) => r.path)).toEqual(['SOURCE.md']);
  });
});
