import { Tokenizer as Kept } from '@huggingface/tokenizers';
import type { JsonObject } from '../../checkpoints/folder.ts';
import { bertNormaliser, withUnicodeSpace } from './agree.ts';

/** A tokenizer whose files cannot be used. */
export class TokenizerError extends Error {
  override name = 'TokenizerError';
  readonly advice =
    'Put tokenizer.json (a fast tokenizer, as save_pretrained writes it) or a BERT vocab.txt into the folder.';
}

/** A text as a model reads it, all of one length: padding behind the tokens. */
export interface Encoded {
  ids: Uint32Array;
  /** 1 for a token, 0 for padding. */
  mask: Float32Array;
  /** 0 for the first text and what frames it, 1 for the second one of a pair. */
  types: Uint32Array;
  /** Tokens before padding. */
  length: number;
  /** Tokens that were cut away. */
  cut: number;
}

/** Files of a tokenizer as they lie in a Hugging Face folder. */
export interface TokenizerFiles {
  /** `tokenizer.json`. */
  tokenizer?: JsonObject;
  /** `tokenizer_config.json`. */
  config?: JsonObject;
  /** `vocab.txt` of a BERT: one token a line. */
  vocabulary?: string;
  /** `special_tokens_map.json`. */
  special?: JsonObject;
}

interface Processed {
  tokens: string[];
  token_type_ids?: number[];
}

/**
 * Turns texts into numbers as transformers' fast tokenizer of the same files does with `padding="max_length",
 * truncation=True` and padding on the right.
 */
export class TextTokenizer {
  readonly #kept: Kept;
  readonly #padding: number;
  readonly #unknown: number | undefined;
  readonly #cutsFront: boolean;
  /** RoBERTa's frame gives both texts of a pair the first type. */
  readonly #oneType: boolean;
  readonly #special: ReadonlySet<string>;
  readonly #config: JsonObject;

  /** Throws `TokenizerError`. */
  constructor(files: TokenizerFiles) {
    const config = { ...files.special, ...files.config };
    this.#config = config;
    const tokenizer = files.tokenizer ?? fromVocabulary(files.vocabulary, config);
    try {
      this.#kept = new Kept(
        { ...tokenizer, pre_tokenizer: withUnicodeSpace(tokenizer.pre_tokenizer) },
        config,
      );
    } catch (error) {
      throw new TokenizerError(`tokenizer.json cannot be read: ${(error as Error).message}.`);
    }
    const normalizer = tokenizer.normalizer as JsonObject | null;
    if (normalizer?.type === 'BertNormalizer')
      this.#kept.normalizer = bertNormaliser(normalizer) as unknown as Kept['normalizer'];
    this.#oneType = (tokenizer.post_processor as JsonObject | null)?.type === 'RobertaProcessing';
    const id = (token: string | undefined) =>
      token === undefined ? undefined : this.#kept.token_to_id(token);
    // Models without a padding token never look at what the mask hides, whatever it is.
    this.#padding = id(contentOf(config.pad_token)) ?? id(contentOf(config.eos_token)) ?? 0;
    this.#unknown = (this.#kept.model as { unk_token_id?: number } | null)?.unk_token_id;
    this.#cutsFront = config.truncation_side === 'left';
    this.#special = new Set(
      [...this.#kept.get_added_tokens_decoder().values()].filter((t) => t.special).map((t) => t.content),
    );
  }

  /** The frame that the model puts around a text or a pair counts in `length`, and is never cut. */
  encode(text: string, pair: string | null, length: number): Encoded {
    const first = this.#kept.tokenize(text);
    const second = pair === null ? null : this.#kept.tokenize(pair);
    const frame = this.#framed([], second && []).tokens.length;
    const [keepFirst, keepSecond] = shares(first.length, second?.length ?? 0, Math.max(0, length - frame));
    const { tokens, token_type_ids } = this.#framed(
      this.#cutTo(first, keepFirst),
      second && this.#cutTo(second, keepSecond),
    );
    const kept = Math.min(length, tokens.length);
    const ids = new Uint32Array(length).fill(this.#padding);
    for (let i = 0; i < kept; i++) ids[i] = this.#idOf(tokens[i]);
    const types = new Uint32Array(length);
    if (token_type_ids && !this.#oneType) types.set(token_type_ids.slice(0, kept));
    return {
      ids,
      mask: new Float32Array(length).fill(1, 0, kept),
      types,
      length: kept,
      cut: first.length + (second?.length ?? 0) - keepFirst - keepSecond,
    };
  }

  /** Tokens that a text or a pair has with its frame. */
  count(text: string, pair: string | null): number {
    const second = pair === null ? null : this.#kept.tokenize(pair);
    return (
      this.#kept.tokenize(text).length + (second?.length ?? 0) + this.#framed([], second && []).tokens.length
    );
  }

  /** The tokens themselves, for a person to look at: those of the frame are told apart. */
  pieces(text: string, pair: string | null, length: number): { text: string; special: boolean }[] {
    const { ids, length: count } = this.encode(text, pair, length);
    return this.piecesOf(ids.subarray(0, count));
  }

  /** Ids as a person reads them. */
  piecesOf(ids: ArrayLike<number>): { text: string; special: boolean }[] {
    return Array.from(ids, (id) => {
      const token = this.#kept.id_to_token(id) ?? '';
      const special = this.#special.has(token);
      return { text: special ? token : this.#readable(token, id), special };
    });
  }

  /** Ids of a text without the frame that a model puts around it. */
  plain(text: string): number[] {
    return this.#kept.tokenize(text).map((token) => this.#idOf(token));
  }

  /** Ids of a text in the frame that a model puts around it, as many as it takes. */
  framed(text: string): number[] {
    return this.#framed(this.#kept.tokenize(text), null).tokens.map((token) => this.#idOf(token));
  }

  /** Ids of the frame before and behind a text. */
  get frame(): [number[], number[]] {
    const [mark] = this.#kept.tokenize('a');
    const { tokens } = this.#framed([mark], null);
    const at = tokens.indexOf(mark);
    const ids = (part: readonly string[]) => part.map((token) => this.#idOf(token));
    return [ids(tokens.slice(0, at)), ids(tokens.slice(at + 1))];
  }

  /** Id that fills what is behind a text. */
  get padding(): number {
    return this.#padding;
  }

  /** Text of ids; special tokens are left out. */
  decode(ids: readonly number[]): string {
    return this.#kept.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  /** Id of a token by its text; undefined where the vocabulary has none. */
  idOf(token: string): number | undefined {
    return this.#kept.token_to_id(token);
  }

  /** Special tokens by the names that `tokenizer_config.json` gives them, e.g. `eos_token`; null where it names none. */
  special(name: 'bos_token' | 'eos_token' | 'pad_token' | 'mask_token' | 'unk_token'): string | null {
    return contentOf(this.#config[name]) ?? null;
  }

  /** The chat template in Jinja, where the files have one. */
  get chatTemplate(): string | null {
    const { chat_template: template } = this.#config;
    return typeof template === 'string' ? template : null;
  }

  /** Ids that stand for no text: frames, padding, masks. */
  get specialIds(): ReadonlySet<number> {
    return new Set([...this.#special].map((token) => this.#kept.token_to_id(token)!));
  }

  /** Number of tokens it knows. */
  get size(): number {
    return this.#kept.get_vocab().size;
  }

  /** Byte-level tokens stand for bytes, which only the decoder turns back into letters. */
  #readable(token: string, id: number): string {
    if (!/[\u0100-\u0143]/.test(token)) return token;
    const decoded = this.#kept.decode([id], { clean_up_tokenization_spaces: false });
    return decoded.includes('\ufffd') ? token : decoded.replace(/^ /, '␣');
  }

  #framed(first: string[], second: string[] | null): Processed {
    const { post_processor: frame } = this.#kept;
    if (!frame) return { tokens: [...first, ...(second ?? [])] };
    return (frame as unknown as (a: string[], b: string[] | null, special: boolean) => Processed)(
      first,
      second,
      true,
    );
  }

  #cutTo(tokens: string[], count: number): string[] {
    if (tokens.length <= count) return tokens;
    return this.#cutsFront ? tokens.slice(tokens.length - count) : tokens.slice(0, count);
  }

  #idOf(token: string): number {
    return this.#kept.token_to_id(token) ?? this.#unknown ?? this.#padding;
  }
}

/** How many tokens of each of two texts stay within `room`: the longer one is cut first, then both to the half. */
function shares(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second];
  if (second === 0) return [room, 0];
  const shorter = Math.min(first, second);
  const swapped = first > second;
  let [a, b] = [shorter, shorter > room ? shorter : Math.max(shorter, room - shorter)];
  if (a + b > room) {
    a = Math.floor(room / 2);
    b = a + (room % 2);
  }
  return swapped ? [b, a] : [a, b];
}

/** A token in `tokenizer_config.json`: its text, or an object that has it. */
function contentOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : undefined;
}

/** The tokenizer that BERT's own vocabulary stands for. Throws `TokenizerError`. */
function fromVocabulary(text: string | undefined, config: JsonObject): JsonObject {
  if (text === undefined)
    throw new TokenizerError('There is no tokenizer.json, so texts cannot be turned into tokens.');
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  const vocab = Object.fromEntries(lines.map((token, id) => [token, id]));
  const named = (key: string, usual: string) => contentOf(config[key]) ?? usual;
  const [unknown, end, start] = [
    named('unk_token', '[UNK]'),
    named('sep_token', '[SEP]'),
    named('cls_token', '[CLS]'),
  ];
  const special = [named('pad_token', '[PAD]'), unknown, start, end, named('mask_token', '[MASK]')];
  const missing = [unknown, start, end].find((token) => !(token in vocab));
  if (missing !== undefined)
    throw new TokenizerError(`vocab.txt has no ${missing}, so it is not the vocabulary of a BERT.`);
  const lowercase = config.do_lower_case !== false;
  const token = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } });
  const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } });
  const single = [token(start, 0), sequence('A', 0), token(end, 0)];
  return {
    added_tokens: special
      .filter((content) => content in vocab)
      .map((content) => ({
        id: vocab[content],
        content,
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: config.tokenize_chinese_chars !== false,
      strip_accents: config.strip_accents ?? null,
      lowercase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single,
      pair: [...single, sequence('B', 1), token(end, 1)],
      special_tokens: Object.fromEntries(
        [start, end].map((id) => [id, { id, ids: [vocab[id]], tokens: [id] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}
