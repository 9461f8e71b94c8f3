import { makeFft } from './fft.ts';
import { filtered, kaldiFilters, type MelFilter } from './mel.ts';

/** Settings of `ASTFeatureExtractor`; samples are at `rate`. */
export interface KaldiSettings {
  readonly kind: 'kaldi';
  readonly rate: number;
  readonly mels: number;
  /** Features become (x - mean) / (2 std); no such step where it is null. */
  readonly normalise: { readonly mean: number; readonly std: number } | null;
  /** Frames that the file asks for. */
  readonly maxLength: number;
}

const PREEMPHASIS = 0.97;
/** The distance from 1 to the next f32. */
const FLOOR = 2 ** -23;

let known: { key: string; filters: MelFilter[] } | undefined;

function filtersOf(mels: number, bins: number, rate: number): MelFilter[] {
  const key = `${mels} ${bins} ${rate}`;
  if (known?.key !== key) known = { key, filters: kaldiFilters(mels, bins, rate) };
  return known.filters;
}

/**
 * Kaldi's filter banks of a mono sound, cut or filled with zeros to `frames` frames: [frames, mels]. Frames of 25 ms
 * every 10 ms that lie wholly in the sound, their mean taken away, pre-emphasis 0.97, a symmetric Hann window, powers
 * of a transform of the next power of two, natural log. Equal to transformers' `ASTFeatureExtractor` with `max_length`
 * `frames`.
 */
export function kaldiBanks(samples: Float32Array, settings: KaldiSettings, frames: number): Float32Array {
  const { rate, mels, normalise } = settings;
  const [frame, hop] = [Math.round(rate * 0.025), Math.round(rate * 0.01)];
  const fft = makeFft(2 ** Math.ceil(Math.log2(frame)));
  const filters = filtersOf(mels, fft.input.length / 2 + 1, rate);
  const window = Float64Array.from(
    { length: frame },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (frame - 1)),
  );
  const there = samples.length < frame ? 0 : 1 + Math.floor((samples.length - frame) / hop);
  const result = new Float32Array(frames * mels);
  for (let t = 0; t < Math.min(frames, there); t++) {
    prepare(samples.subarray(t * hop, t * hop + frame), window, fft.input);
    const power = fft.power();
    for (let m = 0; m < mels; m++)
      result[t * mels + m] = Math.log(Math.max(FLOOR, filtered(filters[m], power)));
  }
  return normalise ? result.map((x) => (x - normalise.mean) / (normalise.std * 2)) : result;
}

/** Mean away, pre-emphasis, window; what lies behind the frame in `into` stays zero. */
function prepare(frame: Float32Array, window: Float64Array, into: Float64Array): void {
  let sum = 0;
  for (const x of frame) sum += x;
  const mean = sum / frame.length;
  let before = frame[0] - mean;
  for (let i = 0; i < frame.length; i++) {
    const x = frame[i] - mean;
    into[i] = (x - PREEMPHASIS * before) * window[i];
    before = x;
  }
}
