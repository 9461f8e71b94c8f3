import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bytesSource, readSafetensors } from '../../checkpoints/safetensors.ts';
import { readSoundFeatures, soundFeatures, withSeconds } from './features.ts';
import { makeFft } from './fft.ts';
import { toMono } from './sound.ts';
import { decodeWav } from './wav.ts';

const folder = new URL('../../../tools/reference/fixtures/sounds/', import.meta.url);
const read = (file: string) => new Uint8Array(readFileSync(new URL(file, folder)));
const extractors = JSON.parse(new TextDecoder().decode(read('extractors.json')));
const expected = await readSafetensors(bytesSource(read('features.safetensors')));
const clip = toMono(decodeWav(read('clip.wav'), 'clip.wav'));

test.each(Object.keys(extractors))("%s equals transformers' within 1e-3", async (name) => {
  const steps = readSoundFeatures(extractors[name]);
  const { shape } = expected.info(name);
  const frames = steps.kind === 'kaldi' ? shape[0] : shape[1];
  const found = soundFeatures(clip, steps, frames);
  const wanted = await expected.f32(name);
  expect(found.length).toBe(wanted.length);
  const worst = found.reduce((n, x, i) => Math.max(n, Math.abs(x - wanted[i])), 0);
  console.log(`${name}: ${worst.toExponential(1)}`);
  expect(worst).toBeLessThan(1e-3);
});

test.each([1, 2, 7, 30, 400, 512])('a transform of %i equals the plain sum', (length) => {
  const fft = makeFft(length);
  for (let i = 0; i < length; i++) fft.input[i] = Math.sin(i * i) + 0.3;
  const power = fft.power();
  for (const k of [0, length >> 2, length >> 1]) {
    let [re, im] = [0, 0];
    fft.input.forEach((x, i) => {
      re += x * Math.cos((2 * Math.PI * i * k) / length);
      im -= x * Math.sin((2 * Math.PI * i * k) / length);
    });
    expect(power[k]).toBeCloseTo(re * re + im * im, 8);
  }
});

test('a sound too short for a frame, and one of nothing, have features', () => {
  const ast = readSoundFeatures(extractors['ast-pads']);
  expect(new Set(soundFeatures(new Float32Array(399), ast, 4)).size).toBe(1);
  const whisper = readSoundFeatures(extractors['whisper-pads']);
  expect(new Set(soundFeatures(new Float32Array(0), whisper, 4))).toEqual(new Set([-1.5]));
});

test('an extractor that is not served is refused with what was found', () => {
  expect(() => readSoundFeatures({ feature_extractor_type: 'Wav2Vec2FeatureExtractor' })).toThrow(/Wav2Vec2/);
  expect(() => readSoundFeatures({ feature_extractor_type: 'ASTFeatureExtractor', std: 0 })).toThrow(
    /std is 0/,
  );
  expect(() => readSoundFeatures({ feature_extractor_type: 'WhisperFeatureExtractor', dither: 1 })).toThrow(
    /dither/,
  );
});

test('the file of an extractor is told of another length', () => {
  expect(withSeconds(extractors['whisper-pads'], 3)).toMatchObject({ chunk_length: 3, feature_size: 40 });
  expect(withSeconds(extractors['ast-pads'], 2.5)).toMatchObject({ max_length: 250 });
});
