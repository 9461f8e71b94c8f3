import { Chat } from '../../models/data/text/chat.ts';
import type { TextTokenizer } from '../../models/data/text/tokenizer.ts';
import type { StudioEvent, WriteRequest, Written } from '../protocol.ts';
import type { RunSession } from './trainer.ts';

/** What writes a run's text on. */
export interface Writing {
  readonly run: string;
  readonly session: RunSession;
  readonly tokenizer: TextTokenizer;
  readonly knobs: Record<string, number>;
  tell(event: StudioEvent): void;
  /** Whether it is to stop. */
  stopped(): boolean;
}

/**
 * Writes a prompt on with the adapter, then without it, telling of the text as it grows. Throws `DataError` where a chat
 * is asked of a model without a template, `TaskError` where the prompt is too long.
 */
export async function writeOn(writing: Writing, request: WriteRequest): Promise<Written> {
  const { run, session, tokenizer, knobs, tell, stopped } = writing;
  const { prompt, chat, tokens, temperature, topP, seed } = request;
  const ids = chat
    ? tokenizer.plain(new Chat(tokenizer).text([{ role: 'user', content: prompt }], true))
    : tokenizer.framed(prompt);
  const end = tokenizer.idOf(tokenizer.special('eos_token') ?? '');
  const options = { tokens, temperature, topP, seed, knobs, ends: new Set(end === undefined ? [] : [end]) };
  const written: Written = { withAdapter: '', withoutAdapter: '', done: false };
  for (const part of ['withAdapter', 'withoutAdapter'] as const) {
    const found: number[] = [];
    for await (const id of session.write(ids, part === 'withAdapter', options)) {
      if (stopped()) break;
      found.push(id);
      const text = tokenizer.decode(found);
      // A letter may need several tokens; it is shown once it is whole.
      if (text.endsWith('\ufffd')) continue;
      written[part] = text;
      tell({ kind: 'written', run, written: { ...written } });
    }
    if (stopped()) break;
  }
  return { ...written, done: true };
}
