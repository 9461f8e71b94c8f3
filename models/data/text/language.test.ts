import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bytesEntry } from '../entry.ts';
import { Chat } from './chat.ts';
import { conversationOf, spokenOf } from './conversation.ts';
import { hideTokens } from './masking.ts';
import { readTextTable } from './table.ts';
import { guessColumns, textsOf, wordsOf } from './texts.ts';
import { TextTokenizer } from './tokenizer.ts';
import { readConll, readTaggedRows, tokensOfWords } from './words.ts';

const folder = 'tools/reference/fixtures/tokens/byte-level';
const json = (name: string) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'));
const withTemplate = (chat_template?: string) =>
  new TextTokenizer({
    tokenizer: json('tokenizer.json'),
    config: { ...json('tokenizer_config.json'), chat_template },
  });

const template = `{% for m in messages %}<{{ m.role }}>{{ m.content }}[end]
{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`;

describe('conversations', () => {
  const asked = [
    { role: 'user', content: 'Add.\n\n1 2' },
    { role: 'assistant', content: '3' },
  ];
  test.each([
    ['Alpaca', { instruction: 'Add.', input: '1 2', output: '3' }],
    ['prompt and completion', { prompt: 'Add.\n\n1 2', completion: '3' }],
    ['messages', { messages: asked }],
    [
      'ShareGPT',
      {
        conversations: [
          { from: 'human', value: 'Add.\n\n1 2' },
          { from: 'gpt', value: '3' },
        ],
      },
    ],
  ])('reads %s', (_, row) => {
    expect(conversationOf(row, 'row 1')).toEqual(asked);
  });

  test('takes running text for none', () => {
    expect(conversationOf({ text: 'Call me Ishmael.' }, 'row 1')).toBeNull();
  });

  test('names a turn of nobody, and a talk without an answer', () => {
    expect(() => conversationOf({ messages: [{ role: 'cook', content: 'x' }] }, 'a.jsonl, row 4')).toThrow(
      /a\.jsonl, row 4: turn 1 has the role "cook"/,
    );
    expect(() => conversationOf({ messages: [asked[0]] }, 'row 2')).toThrow(/nobody answers/);
  });
});

describe('a chat template', () => {
  const messages = conversationOf(
    {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Who are you?' },
        { role: 'assistant', content: 'Ishmael.' },
        { role: 'user', content: 'Where to?' },
        { role: 'assistant', content: 'The sea.' },
      ],
    },
    'row 1',
  )!;

  test('is written as its own language says, and only the answers are learnt', () => {
    const tokenizer = withTemplate(template);
    const chat = new Chat(tokenizer);
    expect(chat.text(messages.slice(0, 2), true)).toBe(
      '<system>Be brief.[end]\n<user>Who are you?[end]\n<assistant>',
    );
    const { ids, learnt } = chat.marked(messages);
    expect(tokenizer.decode(ids)).toBe(chat.text(messages));
    const said = tokenizer.decode(ids.filter((_, i) => learnt[i]));
    expect(said).toBe('Ishmael.[end]\nThe sea.[end]\n');
  });

  test('that writes the past anew is refused, as is a model without one', () => {
    const anew = new Chat(
      withTemplate('{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}'),
    );
    expect(() => anew.marked(messages)).toThrow(/writes earlier turns differently/);
    expect(() => new Chat(withTemplate())).toThrow(/no chat_template/);
    expect(() => new Chat(withTemplate('{% for %}'))).toThrow(/cannot be read/);
  });
});

describe('tagged words', () => {
  test('come from CoNLL files and from rows alike', () => {
    const conll = 'Ahab B-PER\nsails O\n\nNantucket\tNN\tB-LOC\n';
    const rows = [
      { tokens: ['Ahab', 'sails'], tags: ['B-PER', 'O'] },
      { tokens: ['Nantucket'], ner_tags: ['B-LOC'] },
    ];
    const read = readConll(conll, 'a.conll');
    expect(read.classes).toEqual(['B-LOC', 'B-PER', 'O']);
    expect(read.sentences[0]).toEqual({ words: ['Ahab', 'sails'], tags: [1, 2] });
    expect(readTaggedRows(rows, 'a.jsonl')).toEqual(read);
    expect(() => readConll('Ahab\n', 'a.conll')).toThrow(/line 1 has a word and no tag/);
    expect(() => readTaggedRows([{ tokens: ['a'], tags: [] }], 'a.jsonl')).toThrow(/1 tokens and 0 tags/);
  });

  test('count where a word begins', () => {
    const tokenizer = withTemplate();
    const { ids, targets, counted } = tokensOfWords(
      { words: ['Nantucket', 'harbour'], tags: [4, 7] },
      tokenizer,
    );
    expect(tokenizer.decode(ids)).toBe('Nantucket harbour');
    expect(counted.filter(Boolean).length).toBe(2);
    expect(targets.filter((_, i) => counted[i])).toEqual([4, 7]);
  });
});

describe('hidden tokens', () => {
  const ids = Uint32Array.from({ length: 4000 }, (_, i) => (i % 97) + 3);
  const mask = new Float32Array(4000).fill(1, 0, 3800);
  const options = { mask: 1, vocabulary: 100, special: new Set([3]), stream: 5 };

  test('are 15 in 100: eight of ten masked, one replaced, one kept; none that is special or padding', () => {
    const { ids: hidden, targets, counted } = hideTokens(ids, mask, options);
    const drawn = [...counted.keys()].filter((i) => counted[i]);
    expect(drawn.length / 3760).toBeCloseTo(0.15, 1);
    const masked = drawn.filter((i) => hidden[i] === 1).length / drawn.length;
    const kept = drawn.filter((i) => hidden[i] === ids[i]).length / drawn.length;
    expect(masked).toBeGreaterThan(0.74);
    expect(masked).toBeLessThan(0.86);
    expect(kept).toBeGreaterThan(0.05);
    expect(kept).toBeLessThan(0.17);
    expect(targets).toEqual(ids);
    expect(drawn.some((i) => ids[i] === 3 || i >= 3800)).toBe(false);
    expect(hidden.filter((id, i) => id !== ids[i] && !counted[i]).length).toBe(0);
  });

  test('are the same for the same stream, others for another, and at least one', () => {
    expect(hideTokens(ids, mask, options)).toEqual(hideTokens(ids, mask, options));
    expect(hideTokens(ids, mask, { ...options, stream: 6 })).not.toEqual(hideTokens(ids, mask, options));
    const { counted } = hideTokens(ids.slice(1, 3), mask.slice(0, 2), options);
    expect(counted.filter(Boolean).length).toBeGreaterThan(0);
  });
});

describe('a table of instructions', () => {
  const lines = [
    { instruction: 'Add.', input: '1 2', output: '3' },
    { instruction: 'Say hello.', input: '', output: 'Hello.' },
    { instruction: 'Wait.', input: '', output: '' },
  ];
  const entry = (rows: readonly object[]) =>
    bytesEntry('talks.jsonl', new TextEncoder().encode(rows.map((row) => JSON.stringify(row)).join('\n')));
  const read = async (rows: readonly object[]) => {
    const table = await readTextTable(entry(rows));
    const found = textsOf([table], guessColumns(table));
    const words = await Promise.all(found.samples.map(async (s) => wordsOf(await s.entry.bytes())));
    return { ...found, words };
  };

  test('is understood as questions with answers, what they are about among them', async () => {
    const { words, rejected, classes } = await read(lines);
    expect(words).toEqual([
      { text: 'Add.\n\n1 2', pair: '3' },
      { text: 'Say hello.', pair: 'Hello.' },
    ]);
    expect(rejected).toEqual([{ path: 'talks.jsonl line 3', reason: 'its answer is empty' }]);
    expect(classes).toEqual(['texts']);
  });

  test('lists a broken conversation by its line, and takes the others', async () => {
    const turn = (role: string) => ({ role, content: 'Aye.' });
    const { words, rejected } = await read([
      { messages: [turn('user'), turn('assistant')] },
      { messages: [turn('cook')] },
    ]);
    expect(spokenOf(words[0], 'row 1')).toEqual({ messages: [turn('user'), turn('assistant')] });
    expect(rejected[0].path).toBe('talks.jsonl line 2');
    expect(rejected[0].reason).toMatch(/turn 1 has the role "cook"/);
  });
});
