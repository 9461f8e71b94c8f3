import type { FileTree, JsonObject } from '../../checkpoints/folder.ts';
import { TextTokenizer, TokenizerError } from './tokenizer.ts';

/** Files of a folder that say how its model reads texts. */
export const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.txt',
  'chat_template.jinja',
] as const;

/** A tokenizer's file above this is none. */
const maxBytes = 128 * 2 ** 20;

/** The tokenizer of a folder, null where there is none. Throws `TokenizerError`. */
export async function openTokenizer(files: FileTree): Promise<TextTokenizer | null> {
  const text = async (name: string) => {
    const source = files.get(name);
    if (!source) return undefined;
    if (source.size > maxBytes)
      throw new TokenizerError(`${name} has ${source.size} bytes, too many for a file of its kind.`);
    return new TextDecoder().decode(await source.read(0, source.size));
  };
  const json = async (name: string): Promise<JsonObject | undefined> => {
    const content = await text(name);
    if (content === undefined) return undefined;
    try {
      return JSON.parse(content) as JsonObject;
    } catch (error) {
      throw new TokenizerError(`${name} is not valid JSON (${(error as Error).message}).`);
    }
  };
  const [tokenizer, config, special, vocabulary, template] = await Promise.all([
    json('tokenizer.json'),
    json('tokenizer_config.json'),
    json('special_tokens_map.json'),
    text('vocab.txt'),
    text('chat_template.jinja'),
  ]);
  if (!tokenizer && vocabulary === undefined) return null;
  const whole = template === undefined ? config : { ...config, chat_template: template };
  return new TextTokenizer({ tokenizer, config: whole, special, vocabulary });
}

/** Says, in the folder of a sentence model, how tokens become one vector. */
export const poolingFile = '1_Pooling/config.json';

/** Whether a sentence model's folder says that the mean over tokens is its output. */
export async function poolsMean(files: FileTree): Promise<boolean> {
  const source = files.get(poolingFile);
  if (!source) return false;
  const pooling = JSON.parse(new TextDecoder().decode(await source.read(0, source.size))) as JsonObject;
  return pooling.pooling_mode_mean_tokens === true;
}
