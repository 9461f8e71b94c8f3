import { DataError } from '../errors.ts';
import type { TextTokenizer } from './tokenizer.ts';

/** A sentence in words, each with the number of its tag. */
export interface Tagged {
  words: readonly string[];
  tags: readonly number[];
}

/** Sentences with their tags' names. */
export interface TaggedTexts {
  classes: string[];
  sentences: Tagged[];
}

/**
 * Sentences of a CoNLL file: a word a line with its tag in the last column, apart by tabs or spaces; an empty line ends
 * a sentence. Throws `DataError` naming the line that has no tag.
 */
export function readConll(text: string, path: string): TaggedTexts {
  const named: { words: string[]; tags: string[] }[] = [];
  let open: (typeof named)[number] | null = null;
  text.split(/\r?\n/).forEach((line, i) => {
    if (!line.trim() || line.startsWith('-DOCSTART-')) {
      open = null;
      return;
    }
    const columns = line.trim().split(/\t|\s+/);
    if (columns.length < 2)
      throw new DataError(
        path,
        `line ${i + 1} has a word and no tag; write the tag behind it, after a tab or a space`,
      );
    if (!open) {
      open = { words: [], tags: [] };
      named.push(open);
    }
    open.words.push(columns[0]);
    open.tags.push(columns.at(-1)!);
  });
  return numbered(named);
}

/** Sentences of rows with `tokens` and `tags` (or `ner_tags`, `labels`). Throws `DataError` where they do not fit. */
export function readTaggedRows(
  rows: readonly Readonly<Record<string, unknown>>[],
  path: string,
): TaggedTexts {
  return numbered(
    rows.map((row, i) => {
      const words = row.tokens ?? row.words;
      const tags = row.tags ?? row.ner_tags ?? row.labels;
      if (!Array.isArray(words) || !Array.isArray(tags) || words.length !== tags.length)
        throw new DataError(
          path,
          `row ${i + 1} needs \`tokens\` and \`tags\` of one length; it has ${Array.isArray(words) ? words.length : 'no'} tokens and ${Array.isArray(tags) ? tags.length : 'no'} tags`,
        );
      return { words: words.map(String), tags: tags.map(String) };
    }),
  );
}

function numbered(named: readonly { words: string[]; tags: string[] }[]): TaggedTexts {
  const classes = [...new Set(named.flatMap((s) => s.tags))].sort();
  const index = new Map(classes.map((name, i) => [name, i]));
  return {
    classes,
    sentences: named.map(({ words, tags }) => ({ words, tags: tags.map((t) => index.get(t)!) })),
  };
}

/** A sentence in tokens: the first of every word has the word's tag and counts. */
export function tokensOfWords({ words, tags }: Tagged, tokenizer: TextTokenizer) {
  const ids: number[] = [];
  const targets: number[] = [];
  const counted: number[] = [];
  words.forEach((word, i) => {
    // Byte-level vocabularies know a word by the space before it.
    const pieces = tokenizer.plain(i ? ` ${word}` : word);
    pieces.forEach((id, j) => {
      ids.push(id);
      targets.push(tags[i]);
      counted.push(j === 0 ? 1 : 0);
    });
  });
  return { ids, targets, counted };
}
