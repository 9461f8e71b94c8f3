import type { Pixels } from '../pixels.ts';
import { logMel } from './logMel.ts';

/** A sound longer than this is drawn up to here. */
const drawnSeconds = 60;
/** From quiet to loud; dark and light surroundings both leave it readable. */
const ramp = [
  [10, 8, 32],
  [74, 24, 112],
  [168, 52, 110],
  [238, 108, 64],
  [252, 226, 150],
] as const;

/** The spectrogram of a mono sound: time to the right, mel bands upwards, loudness as colour. */
export function spectrogramPicture(
  samples: Float32Array,
  rate: number,
  width: number,
  height: number,
): Pixels {
  const seen = samples.subarray(0, drawnSeconds * rate);
  const hop = Math.round(rate / 100);
  const frames = Math.max(1, Math.ceil(seen.length / hop));
  const mel = logMel(seen, { kind: 'log-mel', rate, mels: height, frame: hop * 4, hop }, frames);
  const top = mel.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
  const data = new Uint8Array(width * height * 3);
  for (let x = 0; x < width; x++) {
    const from = Math.floor((x * frames) / width);
    const to = Math.max(from + 1, Math.floor(((x + 1) * frames) / width));
    for (let y = 0; y < height; y++) {
      const row = (height - 1 - y) * frames;
      let sum = 0;
      for (let t = from; t < to; t++) sum += mel[row + t];
      // Log-mel spans two units from its floor to its loudest value.
      data.set(colour(1 - (top - sum / (to - from)) / 2), (y * width + x) * 3);
    }
  }
  return { width, height, data };
}

function colour(level: number): number[] {
  const place = Math.max(0, Math.min(1, level)) * (ramp.length - 1);
  const at = Math.min(ramp.length - 2, Math.floor(place));
  const [low, high] = [ramp[at], ramp[at + 1]];
  return low.map((c, i) => Math.round(c + (high[i] - c) * (place - at)));
}
