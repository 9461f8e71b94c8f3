import { makeFft } from './fft.ts';
import { filtered, type MelFilter, slaneyFilters } from './mel.ts';

/** Settings of `WhisperFeatureExtractor`; samples are at `rate`. */
export interface LogMelSettings {
  readonly kind: 'log-mel';
  readonly rate: number;
  readonly mels: number;
  /** Samples of a frame and from one to the next. */
  readonly frame: number;
  readonly hop: number;
}

let known: { key: string; filters: MelFilter[] } | undefined;

function filtersOf({ mels, frame, rate }: LogMelSettings): MelFilter[] {
  const key = `${mels} ${frame} ${rate}`;
  if (known?.key !== key) known = { key, filters: slaneyFilters(mels, frame / 2 + 1, rate) };
  return known.filters;
}

/**
 * Whisper's features of a mono sound, cut or filled with silence to `frames` frames: [mels, frames]. Frames are
 * centred (the ends are mirrored), under a periodic Hann window; powers through Slaney's filters, log10 floored at
 * 1e-10, clamped to 8 below the largest, (x + 4) / 4. Equal to transformers' `WhisperFeatureExtractor` with a
 * `chunk_length` of as many frames.
 */
export function logMel(samples: Float32Array, settings: LogMelSettings, frames: number): Float32Array {
  const { mels, frame, hop } = settings;
  const filters = filtersOf(settings);
  const fft = makeFft(frame);
  const window = Float64Array.from(
    { length: frame },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frame),
  );
  const total = frames * hop;
  const known = Math.min(total, samples.length);
  const at = (i: number) => {
    const mirrored = i < 0 ? -i : i >= total ? 2 * (total - 1) - i : i;
    return mirrored < known ? samples[mirrored] : 0;
  };
  const result = new Float32Array(mels * frames).fill(-10);
  for (let t = 0; t < frames; t++) {
    const begin = t * hop - frame / 2;
    // Silence behind the sound is at the floor without a transform.
    if (begin >= known && begin + frame <= total) continue;
    for (let i = 0; i < frame; i++) fft.input[i] = at(begin + i) * window[i];
    const power = fft.power();
    for (let m = 0; m < mels; m++)
      result[m * frames + t] = Math.log10(Math.max(1e-10, filtered(filters[m], power)));
  }
  const floor = result.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY) - 8;
  return result.map((x) => (Math.max(x, floor) + 4) / 4);
}
