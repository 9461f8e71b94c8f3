import type { FileEntry } from '../entry.ts';
import type { LabelledFiles, Sample } from '../folder.ts';
import { hash32, uniform } from '../hash.ts';
import { encodeWav } from './wav.ts';

/** Samples a second of the bundled sounds, and seconds that each lasts. */
const RATE = 16000;
const SECONDS = 1;

/** A voice gives the sound at `t` seconds; `draw` is asked once a sound, in order, for numbers in [0, 1). */
type Voice = (draw: () => number) => (t: number) => number;

const sine = (cycles: number) => Math.sin(2 * Math.PI * cycles);
/** Between two limits by ratio, as pitch is heard. */
const between = (low: number, high: number, share: number) => low * (high / low) ** share;

/** A tone that glides between two drawn pitches. */
const chirp = (up: boolean): Voice => {
  return (draw) => {
    const low = between(150, 600, draw());
    const ratio = between(2, 5, draw());
    const rise = (Math.log(ratio) / SECONDS) * (up ? 1 : -1);
    const start = up ? low : low * ratio;
    return (t) => 0.6 * sine((start * (Math.exp(rise * t) - 1)) / rise);
  };
};

const voices: Record<string, Voice> = {
  bell(draw) {
    const pitch = between(300, 1200, draw());
    const fall = between(3, 9, draw());
    return (t) =>
      [1, 2.76, 5.4].reduce(
        (sum, ratio, i) => sum + (0.5 / (i + 1)) * sine(pitch * ratio * t) * Math.exp(-fall * (i + 1) * t),
        0,
      );
  },
  'chirp down': chirp(false),
  'chirp up': chirp(true),
  clicks(draw) {
    const rate = between(4, 12, draw());
    const pitch = between(1500, 5000, draw());
    return (t) => {
      const since = (t * rate) % 1;
      return 0.8 * sine(pitch * t) * Math.exp((-since / rate) * 200);
    };
  },
  hum(draw) {
    const pitch = between(60, 160, draw());
    return (t) => [1, 2, 3, 4, 6].reduce((sum, n) => sum + (0.3 / n) * sine(pitch * n * t), 0);
  },
  noise(draw) {
    const share = 0.05 + 0.6 * draw();
    const seed = Math.floor(draw() * 2 ** 32);
    let [last, n] = [0, 0];
    return () => {
      last += share * (2 * uniform(seed, n++) - 1 - last);
      return last * 0.6;
    };
  },
  siren(draw) {
    const pitch = between(500, 1200, draw());
    const rate = between(2, 5, draw());
    const depth = 0.15 + 0.2 * draw();
    return (t) => 0.6 * sine(pitch * (t - (depth / (2 * Math.PI * rate)) * Math.cos(2 * Math.PI * rate * t)));
  },
  tone(draw) {
    const pitch = between(200, 2000, draw());
    return (t) => 0.5 * sine(pitch * t);
  },
};

/** Names of the classes, and how many sounds each has to train on and to test with. */
export const synthesised = { classes: Object.keys(voices), train: 20, test: 5 } as const;

/** One sound: a voice of drawn pitch and pace, its loudness and its place drawn too, over a quiet hiss. */
export function synthesise(name: string, take: number): Float32Array {
  const label = synthesised.classes.indexOf(name);
  let draws = 0;
  const seed = hash32(label + 1, take + 1);
  const draw = () => uniform(seed, ++draws);
  const voice = voices[name](draw);
  const gain = between(0.25, 1, draw());
  const hiss = between(0.002, 0.03, draw());
  const begin = Math.floor(draw() * 0.25 * RATE);
  const noise = hash32(seed, 0);
  const fade = 0.01 * RATE;
  const length = SECONDS * RATE;
  return Float32Array.from({ length }, (_, i) => {
    const edge = Math.min(1, (i - begin) / fade, (length - i) / fade);
    const clean = i < begin ? 0 : voice((i - begin) / RATE) * gain * edge;
    return clean + hiss * (2 * uniform(noise, i) - 1);
  });
}

/** The bundled sounds as if a folder `split/class/00.wav` had been dropped; each is made when it is read. */
export function synthesisedSounds(): LabelledFiles {
  const { classes, train, test } = synthesised;
  const samples: Sample[] = [];
  for (const split of ['test', 'train'] as const)
    classes.forEach((name, label) => {
      for (let take = 0; take < (split === 'train' ? train : test); take++) {
        const path = `${split}/${name}/${String(take).padStart(2, '0')}.wav`;
        const entry = soundEntry(path, name, split === 'train' ? take : train + take);
        samples.push({ id: samples.length, path, entry, label, split });
      }
    });
  return {
    kind: 'audio',
    classes: [...classes],
    samples,
    rejected: [],
    notes: [`${samples.length} sounds of ${SECONDS} s in ${classes.length} classes, synthesised here.`],
  };
}

function soundEntry(path: string, name: string, take: number): FileEntry {
  const bytes = async () => encodeWav(synthesise(name, take), RATE);
  return { path, size: 44 + SECONDS * RATE * 2, bytes };
}
