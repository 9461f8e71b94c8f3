import { fittingLength, type Words } from '../../models/data/text/texts.ts';
import type { TextTokenizer } from '../../models/data/text/tokenizer.ts';
import type { Model } from '../../models/model.ts';
import type { SampleValues } from '../session/ports.ts';

/** How a backbone reads texts. */
export interface TextReader {
  readonly tokenizer: TextTokenizer;
  readonly model: Model;
}

/** A text or a pair as the backbone's inputs of that many tokens. */
export function readText(
  { tokenizer, model }: TextReader,
  { text, pair }: Words,
  size: number,
): SampleValues {
  const { ids, mask, types } = tokenizer.encode(text, pair, size);
  const values: Record<string, Float32Array | Uint32Array> = {};
  for (const { name } of model.sampleInputs(size)) {
    if (name === 'ids') values.ids = ids;
    else if (name === 'mask') values.mask = mask;
    else if (name === 'types') values.types = types;
    else if (name === 'decoder_ids') {
      // As T5 and BART classify: their decoder reads the text itself, one place later.
      values.decoder_ids = new Uint32Array(size);
      values.decoder_ids[0] = model.backbone.decoderStart?.(model.config) ?? 0;
      values.decoder_ids.set(ids.subarray(0, size - 1), 1);
    }
  }
  return values;
}

/** Texts that are measured to find the length for all. */
const measured = 2000;

/** The length of samples that fits nineteen of twenty texts; at most `measured` of them, evenly chosen, are looked at. */
export async function lengthFor(
  most: number,
  count: number,
  tokensOf: (index: number) => Promise<number>,
): Promise<number> {
  const step = Math.max(1, count / measured);
  const counts: number[] = [];
  for (let at = 0; at < count; at += step) counts.push(await tokensOf(Math.floor(at)));
  return fittingLength(counts, most);
}
