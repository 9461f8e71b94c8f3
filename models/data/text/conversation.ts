import { DataError } from '../errors.ts';
import type { Words } from './texts.ts';

/** One turn of a conversation. */
export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

const roles: Readonly<Record<string, Message['role']>> = {
  system: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
  bot: 'assistant',
  model: 'assistant',
};

type Row = Readonly<Record<string, unknown>>;

/**
 * The conversation that a row of instruction data holds: `messages` with `role` and `content`, ShareGPT's
 * `conversations` with `from` and `value`, Alpaca's `instruction`, `input` and `output`, or `prompt` and `completion`.
 * Null for a row of none of these. Throws `DataError` for one that is broken; `place` names it.
 */
export function conversationOf(row: Row, place: string): Message[] | null {
  const { messages, conversations } = row;
  if (Array.isArray(messages)) return turns(messages, 'role', 'content', place);
  if (Array.isArray(conversations)) return turns(conversations, 'from', 'value', place);
  if (typeof row.instruction === 'string' && typeof row.output === 'string') {
    const input = typeof row.input === 'string' && row.input.trim() ? `\n\n${row.input}` : '';
    return answered(row.system, `${row.instruction}${input}`, row.output);
  }
  if (typeof row.prompt === 'string' && typeof row.completion === 'string')
    return answered(row.system, row.prompt, row.completion);
  return null;
}

function answered(system: unknown, question: string, answer: string): Message[] {
  const first: Message[] = typeof system === 'string' && system ? [{ role: 'system', content: system }] : [];
  return [...first, { role: 'user', content: question }, { role: 'assistant', content: answer }];
}

function turns(list: readonly unknown[], who: string, what: string, place: string): Message[] {
  const messages = list.map((turn, i): Message => {
    const { [who]: role, [what]: content } = (turn ?? {}) as Row;
    const known = typeof role === 'string' ? roles[role.toLowerCase()] : undefined;
    if (!known || typeof content !== 'string')
      throw new DataError(
        place,
        `turn ${i + 1} has the ${who} ${JSON.stringify(role ?? null)}; give every turn one of ${Object.keys(roles).join(', ')} as ${who} and its text as ${what}`,
      );
    return { role: known, content };
  });
  if (!messages.some((m) => m.role === 'assistant'))
    throw new DataError(
      place,
      'nobody answers in it; a conversation to learn from has a turn of the assistant',
    );
  return messages;
}

/** What a text says: a conversation where it is one in JSON or has an answer beside it, else running text. */
export function spokenOf({ text, pair }: Words, path: string): { messages: Message[] } | { text: string } {
  if (pair !== null) return { messages: answered(undefined, text, pair) };
  const turns = text.startsWith('[') ? listIn(text) : null;
  if (typeof turns?.[0] !== 'object' || turns[0] === null) return { text };
  const messages = conversationOf('from' in turns[0] ? { conversations: turns } : { messages: turns }, path);
  return messages ? { messages } : { text };
}

function listIn(text: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    return null; // A text may begin with a bracket and be no JSON.
  }
}
