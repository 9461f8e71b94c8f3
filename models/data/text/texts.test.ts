import { describe, expect, test } from 'vitest';
import { bytesEntry } from '../entry.ts';
import { readTextTable, type TextTable } from './table.ts';
import { fittingLength, guessColumns, textsOf, textsOfFolder, wordsOf } from './texts.ts';

const file = (path: string, content: string | Uint8Array) =>
  bytesEntry(path, typeof content === 'string' ? new TextEncoder().encode(content) : content);
const read = (path: string, content: string | Uint8Array) => readTextTable(file(path, content));
const cells = (table: TextTable) => table.rows.map((row) => row.cells);

describe('tables', () => {
  test('CSV with quotes, line breaks, empty lines and a line too short', async () => {
    const table = await read(
      'a.csv',
      '\ufefftext,category\n"Where, and\nwhen?",card\n\nshort\n"He said ""no""",loan\n',
    );
    expect(table.columns).toEqual(['text', 'category']);
    expect(cells(table)).toEqual([
      ['Where, and\nwhen?', 'card'],
      ['He said "no"', 'loan'],
    ]);
    expect(table.rows.map((r) => r.line)).toEqual([2, 6]);
    expect(table.rejected).toEqual([
      { path: 'a.csv line 5', reason: expect.stringMatching(/1 cells.*2 columns/) },
    ]);
  });

  test('a quotation mark that does not close is told by its line', async () => {
    const { rejected } = await read('a.csv', 'text,label\ngood,1\n"bad,2\n');
    expect(rejected).toEqual([{ path: 'a.csv line 3', reason: 'its quotation marks do not close' }]);
  });

  test('TSV, semicolons, and no header', async () => {
    expect(cells(await read('a.tsv', 'text\tlabel\na, b\tx\n'))).toEqual([['a, b', 'x']]);
    expect(cells(await read('a.csv', 'text;label\na, b;x\n'))).toEqual([['a, b', 'x']]);
    const bare = await read('a.csv', 'I like it very much,1\nI do not,0\n');
    expect([bare.columns, bare.rows.length]).toEqual([['column 1', 'column 2'], 2]);
    const named = await read(
      'a.csv',
      'remark,mood\nI like it very much,wonderful day\nI do not,terrible day\n',
    );
    expect([named.columns, named.rows.length]).toEqual([['remark', 'mood'], 2]);
  });

  test('JSON lines with errors by line, JSON lists, and a list inside an object', async () => {
    const lines = await read(
      'a.jsonl',
      '{"text":"a","label":1}\n{"text":\n[1]\n{"text":"b","more":{"x":[1]}}\n',
    );
    expect(lines.columns).toEqual(['text', 'label', 'more']);
    expect(cells(lines)).toEqual([
      ['a', '1', null],
      ['b', null, '{"x":[1]}'],
    ]);
    expect(lines.rejected.map((r) => r.path)).toEqual(['a.jsonl line 2', 'a.jsonl line 3']);
    expect(cells(await read('a.json', '{"data":[{"t":"x"},{"t":"y"}]}'))).toEqual([['x'], ['y']]);
    await expect(read('a.json', '{"a":1}')).rejects.toThrow(/no list of rows/);
    await expect(read('a.json', '{')).rejects.toThrow(/not valid JSON/);
  });

  test('TXT is a text a line; other encodings and kinds are refused', async () => {
    expect((await read('a.txt', 'one\r\n\ntwo\n')).rows).toEqual([
      { line: 1, cells: ['one'] },
      { line: 3, cells: ['two'] },
    ]);
    await expect(read('a.txt', Uint8Array.of(0x66, 0xfc, 0x72))).rejects.toThrow(/not UTF-8/);
    await expect(read('a.doc', 'x')).rejects.toThrow(/no CSV/);
    await expect(read('a.parquet', 'PAR1 but no more')).rejects.toThrow(/no Parquet file/);
  });

  test('Parquet with the names of class labels', async () => {
    const { readFileSync } = await import('node:fs');
    const table = await read('a.parquet', readFileSync('tools/reference/fixtures/texts/labelled.parquet'));
    expect(table.columns).toEqual(['text', 'label', 'stars']);
    expect(cells(table)).toEqual([
      ['naïve café', 'no', '3'],
      ['世界', 'yes', null],
      ['plain', 'no', '12'],
    ]);
  });
});

describe('columns', () => {
  const table = (columns: string[], ...rows: string[][]): TextTable => ({
    path: 'a.csv',
    columns,
    rows: rows.map((c, i) => ({ line: i + 2, cells: c })),
    rejected: [],
  });

  test.each([
    [['id', 'Text', 'Category'], { text: 'Text', pair: null, label: 'Category' }],
    [['premise', 'hypothesis', 'label'], { text: 'premise', pair: 'hypothesis', label: 'label' }],
    [['text', 'label', 'label_text'], { text: 'text', pair: null, label: 'label_text' }],
    [['question', 'context', 'y'], { text: 'question', pair: 'context', label: 'y' }],
  ])('%j', (columns, expected) => {
    expect(
      guessColumns(
        table(
          columns,
          columns.map(() => 'x'),
        ),
      ),
    ).toEqual(expected);
  });

  test('by content where names say nothing', () => {
    const rows = ['a long first remark', 'another remark', 'a third one of them', 'and the last'].map(
      (r, i) => [`${i}`, r, i % 2 ? 'up' : 'down', i % 2 ? 'train' : 'test'],
    );
    expect(guessColumns(table(['a', 'b', 'c', 'd'], ...rows))).toEqual({ text: 'b', pair: null, label: 'c' });
  });
});

test('texts with classes and splits; rows that lack something are told by line', async () => {
  const train = await read('data/train.csv', 'text,label\nten,10\nnine,9\n,9\nno label,\n');
  const test_ = await read('data/test.csv', 'text,label\nlast,9\n');
  const found = textsOf([train, test_], { text: 'text', pair: null, label: 'label' });
  expect(found.classes).toEqual(['9', '10']);
  expect(found.samples.map(({ path, label, split }) => [path, label, split])).toEqual([
    ['data/train.csv line 2', 1, 'train'],
    ['data/train.csv line 3', 0, 'train'],
    ['data/test.csv line 2', 0, 'test'],
  ]);
  expect(found.rejected.map((r) => `${r.path}: ${r.reason}`)).toEqual([
    'data/train.csv line 4: its text is empty',
    'data/train.csv line 5: its label is empty',
  ]);
  expect(wordsOf(await found.samples[0].entry.bytes())).toEqual({ text: 'ten', pair: null });
  expect(() => textsOf([train], { text: 'texts', pair: null, label: null })).toThrow(
    /no column “texts”.*text, label/,
  );
});

test('a folder of text files', async () => {
  const files = ['train/ham/1.txt', 'train/spam/2.txt', 'test/ham/3.txt'].map((path) => ({
    path,
    entry: file(path, ` ${path} `),
  }));
  const found = await textsOfFolder(files);
  expect(found.classes).toEqual(['ham', 'spam']);
  expect(found.samples.map(({ label, split }) => [label, split])).toEqual([
    [0, 'train'],
    [1, 'train'],
    [0, 'test'],
  ]);
});

test('the length that fits', () => {
  expect(fittingLength([], 512)).toBe(128);
  expect(fittingLength([3, 4], 512)).toBe(8);
  expect(fittingLength([...Array(95).fill(17), ...Array(5).fill(400)], 512)).toBe(24);
  expect(fittingLength([900], 512)).toBe(512);
});
