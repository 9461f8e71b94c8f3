import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyEdits, type DataEdit, EditError } from './edits.ts';
import { type LabelledFiles, readLabelledFolder } from './folder.ts';
import { defaultSplit, divide } from './split.ts';
import { entries } from './testing.ts';

const files = (...paths: string[]) => readLabelledFolder(entries(paths));
const numbered = (folder: string, n: number) => Array.from({ length: n }, (_, i) => `${folder}/${i}.png`);

describe('divide', () => {
  it('is a stratified partition, the same for the same seed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 4 }),
        fc.integer(),
        async (sizes, seed) => {
          const found = await files(...sizes.flatMap((n, i) => numbered(`c${i}`, n)));
          const settings = { ...defaultSplit, seed, val: 0.2, test: 0.2 };
          const { train, val, test } = divide(found, settings);
          expect([...train, ...val, ...test].sort((a, b) => a - b)).toEqual(found.samples.map((_, i) => i));
          expect(divide(found, settings)).toEqual(divide(found, settings));
          sizes.forEach((n, label) => {
            const inClass = (list: number[]) => list.filter((i) => found.samples[i].label === label).length;
            expect(inClass(train)).toBeGreaterThan(0);
            if (n > 4) expect(Math.abs(inClass(val) - n * 0.2)).toBeLessThanOrEqual(0.5);
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('draws otherwise for another seed, and moves few samples when some are added', async () => {
    const found = await files(...numbered('a', 40), ...numbered('b', 40));
    const val = (f: LabelledFiles, seed: number) =>
      new Set(divide(f, { ...defaultSplit, seed }).val.map((i) => f.samples[i].path));
    expect(val(found, 1)).not.toEqual(val(found, 2));
    const more = await files(...numbered('a', 42), ...numbered('b', 40));
    const before = val(found, 1);
    const kept = [...val(more, 1)].filter((path) => before.has(path)).length;
    expect(kept).toBeGreaterThanOrEqual(before.size - 2);
  });

  it('keeps given splits and draws only what is missing, from train', async () => {
    const found = await files(
      ...numbered('train/a', 10),
      ...numbered('train/b', 10),
      ...numbered('test/a', 3),
      ...numbered('test/b', 3),
    );
    const { train, val, test } = divide(found, { ...defaultSplit, val: 0.2 });
    expect(test.map((i) => found.samples[i].path).every((path) => path.startsWith('test/'))).toBe(true);
    expect([train.length, val.length, test.length]).toEqual([16, 4, 6]);
    expect(divide(found, { ...defaultSplit, fromFolders: false, val: 0, test: 0.5 }).test).toHaveLength(14);
  });

  it('leaves the unlabelled out and warns of tiny classes', async () => {
    const found = await files(...numbered('a', 1), ...numbered('b', 30), 'loose.png');
    const { train, val, test, warnings } = divide(found, defaultSplit);
    expect(train.length + val.length + test.length).toBe(31);
    expect(warnings).toEqual([
      '"a" has no picture for validation, so its accuracy cannot be known; add some.',
    ]);
    const testOnly = await files('train/a/1.png', 'test/b/1.png');
    expect(divide(testOnly, defaultSplit).warnings).toContain(
      '"b" has no picture to train on; add some, or drop the class.',
    );
  });
});

describe('edits', () => {
  const labels = async (...edits: DataEdit[]) => {
    const found = await files('a/1.png', 'b/1.png', 'c/1.png', 'loose.png');
    const { classes, samples, split } = applyEdits(found, edits, defaultSplit);
    return { classes, split, of: Object.fromEntries(samples.map((s) => [s.path, classes[s.label] ?? null])) };
  };

  it('renames, merges, drops, adds and relabels, in order', async () => {
    expect((await labels({ kind: 'rename-class', index: 1, name: ' x ' })).classes).toEqual(['a', 'x', 'c']);
    expect(await labels({ kind: 'merge-classes', indices: [2, 0], name: 'a' })).toMatchObject({
      classes: ['a', 'b'],
      of: { 'a/1.png': 'a', 'b/1.png': 'b', 'c/1.png': 'a', 'loose.png': null },
    });
    expect((await labels({ kind: 'drop-class', index: 0 })).of).toEqual({
      'b/1.png': 'b',
      'c/1.png': 'c',
      'loose.png': null,
    });
    const added = await labels(
      { kind: 'add-class', name: 'd' },
      { kind: 'set-label', samples: [3], index: 3 },
      { kind: 'remove-sample', sample: 0 },
    );
    expect(added.of).toEqual({ 'b/1.png': 'b', 'c/1.png': 'c', 'loose.png': 'd' });
    const split = { val: 0.3, test: 0, seed: 5, fromFolders: false };
    expect((await labels({ kind: 'set-split', ...split })).split).toEqual(split);
  });

  it.each<[DataEdit, RegExp]>([
    [{ kind: 'rename-class', index: 0, name: 'b' }, /merge the two/],
    [{ kind: 'rename-class', index: 0, name: '  ' }, /needs a name/],
    [{ kind: 'drop-class', index: 3 }, /not in the data set/],
    [{ kind: 'merge-classes', indices: [1, 1], name: 'z' }, /two classes or more/],
    [{ kind: 'remove-sample', sample: 9 }, /not in the data set/],
    [{ kind: 'set-split', val: 0.5, test: 0.5, seed: 1, fromFolders: true }, /leave something/],
  ])('refuses %j', async (edit, message) => {
    await expect(labels(edit)).rejects.toThrow(message);
    await expect(labels(edit)).rejects.toBeInstanceOf(EditError);
  });
});
