import { Template } from '@huggingface/jinja';
import { DataError } from '../errors.ts';
import type { Message } from './conversation.ts';
import type { TextTokenizer } from './tokenizer.ts';

/** A text in tokens, with 1 for those that are to be learnt. */
export interface Marked {
  ids: number[];
  learnt: number[];
}

/** Turns conversations into the text that a model was made to read: the chat template of its own files, in Jinja. */
export class Chat {
  readonly #template: Template;
  readonly #words: Readonly<Record<string, string | null>>;
  readonly #tokenizer: TextTokenizer;

  /** Throws `DataError` where the files have no chat template, or none that can be read. */
  constructor(tokenizer: TextTokenizer) {
    const { chatTemplate } = tokenizer;
    if (chatTemplate === null)
      throw new DataError(
        'tokenizer_config.json',
        'it has no chat_template, so conversations cannot be written as this model reads them; choose an instruction-tuned model, or train on plain text',
      );
    try {
      this.#template = new Template(chatTemplate);
    } catch (error) {
      throw new DataError(
        'tokenizer_config.json',
        `its chat_template cannot be read: ${(error as Error).message}`,
      );
    }
    this.#tokenizer = tokenizer;
    this.#words = { bos_token: tokenizer.special('bos_token'), eos_token: tokenizer.special('eos_token') };
  }

  /** The conversation as one text; `answering` adds what stands before an answer. */
  text(messages: readonly Message[], answering = false): string {
    try {
      return this.#template.render({ messages, add_generation_prompt: answering, ...this.#words });
    } catch (error) {
      throw new DataError('chat_template', `it refuses this conversation: ${(error as Error).message}`);
    }
  }

  /**
   * The conversation in tokens, of which the assistant's answers are learnt. Throws `DataError` where the template does
   * not write turns one behind another, so that nothing tells where an answer begins.
   */
  marked(messages: readonly Message[]): Marked {
    const marked: Marked = { ids: [], learnt: [] };
    let written = '';
    const put = (to: string, learnt: number) => {
      if (!to.startsWith(written))
        throw new DataError(
          'chat_template',
          'it writes earlier turns differently once later ones are there, so answers cannot be told apart; train on plain text instead',
        );
      const ids = this.#tokenizer.plain(to.slice(written.length));
      marked.ids.push(...ids);
      marked.learnt.push(...ids.map(() => learnt));
      written = to;
    };
    messages.forEach(({ role }, i) => {
      if (role !== 'assistant') return;
      put(this.text(messages.slice(0, i), true), 0);
      put(this.text(messages.slice(0, i + 1)), 1);
    });
    return marked;
  }
}
