import type * as P from '../../workers/protocol.ts';
import { recount } from './fakeData.ts';

const QUESTIONS: Record<string, string[]> = {
  'card arrival': [
    'I am still waiting on my card?',
    'What can I do if my card still hasn’t arrived after 2 weeks?',
    'My new card was sent a month ago and I have been looking for it every single day since, what should I do about it now?',
    'Is there a way to know when my card will arrive?',
  ],
  'exchange rate': [
    'Do you have info about the exchange rate?',
    'Why was I charged a rate that the app never showed me?',
    'How are your exchange rates calculated?',
    'The rate for my purchase in Kraków looks wrong.',
  ],
  'lost or stolen card': [
    'My card was stolen, please block it',
    'I left my wallet on the bus. What now?',
    'Someone took my bag this morning',
    'I can’t find my card anywhere!',
  ],
  'pending transfer': [
    'Why has my transfer not gone through yet?',
    'How long does a transfer from the US take?',
    'The money I sent yesterday still says pending',
    'Transfer pending for three days',
  ],
};

/** What the stand-in's text number `at` of a class says. */
export function wordsOf(name: string, at: number): P.Words {
  const texts = QUESTIONS[name] ?? Object.values(QUESTIONS)[at % 4]!;
  return { text: texts[at % texts.length]!, pair: null };
}

/** A table of questions to a bank, as it is first opened. */
export function questions(): P.DatasetView {
  const names = Object.keys(QUESTIONS);
  return recount({
    id: 'mail',
    kind: 'text',
    name: 'questions',
    createdAt: Date.now() - 60_000,
    hash: 't0',
    classes: names.map((name, index) => ({
      index,
      name,
      counts: { train: 96 + index * 9, val: 12, test: 12 },
    })),
    counts: { train: 0, val: 0, test: 0 },
    split: { val: 0.1, test: 0.1, seed: 1, fromFolders: false },
    rejected: [
      {
        path: 'questions.csv line 218',
        reason: 'it has 3 cells, and the table has 2 columns; put quotation marks around cells with commas',
      },
      { path: 'questions.csv line 301', reason: 'its category is empty' },
    ],
    notes: ['Texts from the column “text” of questions.csv, labels from “category”.'],
    canUndo: false,
    bytes: 48_200,
    table: {
      columns: ['text', 'category', 'date'],
      chosen: { text: 'text', pair: null, label: 'category' },
      rows: Array.from({ length: 10 }, (_, i) => [
        wordsOf(names[i % 4]!, i >> 2).text,
        names[i % 4]!,
        `2024-03-${10 + i}`,
      ]),
    },
  });
}

/** Tokens about as a WordPiece tokenizer cuts them. */
export function tokensOf(sample: number, length: number): P.TokenView {
  const words = wordsOf(Object.keys(QUESTIONS)[sample % 4]!, sample);
  const parts = words.text.toLowerCase().match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? [];
  const pieces = parts.flatMap((word) =>
    word.length > 8 ? [word.slice(0, 6), `##${word.slice(6)}`] : [word],
  );
  const room = Math.max(0, length - 2);
  return {
    sample,
    words,
    pieces: [
      { text: '[CLS]', special: true },
      ...pieces.slice(0, room).map((text) => ({ text, special: false })),
      { text: '[SEP]', special: true },
    ],
    cut: Math.max(0, pieces.length - room),
  };
}
