import type { JsonObject } from '../../checkpoints/folder.ts';
import { PreprocessError } from '../preprocess.ts';
import { type KaldiSettings, kaldiBanks } from './kaldi.ts';
import { type LogMelSettings, logMel } from './logMel.ts';

/** What a feature extractor of sounds does. */
export type SoundFeatures = LogMelSettings | KaldiSettings;

/** Frames a second of both extractors. */
export const framesPerSecond = 100;

/** Whether a `preprocessor_config.json` is one of sounds. */
export function isSoundExtractor(file: JsonObject): boolean {
  return typeof file.feature_extractor_type === 'string' && file.feature_extractor_type in readers;
}

const readers: Record<string, (file: JsonObject) => SoundFeatures> = {
  WhisperFeatureExtractor(file) {
    if (file.dither) throw new PreprocessError('it asks for dither, which is not done here.');
    if (file.do_normalize)
      throw new PreprocessError('it asks for do_normalize of the samples, which is not done here.');
    const [rate, hop] = [positive(file, 'sampling_rate', 16000), positive(file, 'hop_length', 160)];
    if (rate !== hop * framesPerSecond)
      throw new PreprocessError(
        `a hop of ${hop} samples at ${rate} Hz is not understood; 100 frames a second are.`,
      );
    return {
      kind: 'log-mel',
      rate,
      hop,
      mels: positive(file, 'feature_size', 80),
      frame: positive(file, 'n_fft', 400),
    };
  },
  ASTFeatureExtractor: (file) => ({
    kind: 'kaldi',
    rate: positive(file, 'sampling_rate', 16000),
    mels: positive(file, 'num_mel_bins', 128),
    maxLength: positive(file, 'max_length', 1024),
    normalise:
      (file.do_normalize ?? true)
        ? { mean: finite(file, 'mean', -4.2677393), std: positive(file, 'std', 4.5689974, false) }
        : null,
  }),
};

function finite(file: JsonObject, key: string, fallback: number): number {
  const value = file[key] ?? fallback;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new PreprocessError(`${key} is ${JSON.stringify(value)}; a number is understood.`);
}

function positive(file: JsonObject, key: string, fallback: number, whole = true): number {
  const value = finite(file, key, fallback);
  if (value > 0 && (!whole || Number.isInteger(value))) return value;
  throw new PreprocessError(`${key} is ${value}; a positive ${whole ? 'whole ' : ''}number is understood.`);
}

/** Reads the `preprocessor_config.json` of a model of sounds. Throws `PreprocessError`. */
export function readSoundFeatures(file: JsonObject): SoundFeatures {
  const name = file.feature_extractor_type;
  const read = typeof name === 'string' ? readers[name] : undefined;
  if (read) return read(file);
  throw new PreprocessError(
    `feature extractor ${JSON.stringify(name)} is not known here (known: ${Object.keys(readers).join(', ')}).`,
  );
}

/** The same file for sounds of another length. */
export function withSeconds(file: JsonObject, seconds: number): JsonObject {
  return readSoundFeatures(file).kind === 'log-mel'
    ? { ...file, chunk_length: seconds }
    : { ...file, max_length: Math.round(seconds * framesPerSecond) };
}

/**
 * What a model reads of a mono sound at `steps.rate`: Whisper's log-mel [mels, frames], or Kaldi's banks
 * [frames, mels]. Longer sounds are cut, shorter ones filled.
 */
export function soundFeatures(samples: Float32Array, steps: SoundFeatures, frames: number): Float32Array {
  return steps.kind === 'log-mel' ? logMel(samples, steps, frames) : kaldiBanks(samples, steps, frames);
}
