import { expect, test } from 'vitest';
import { decodeMono } from './decode.ts';
import { spectrogramPicture } from './picture.ts';
import { synthesise, synthesised, synthesisedSounds } from './synth.ts';

test('the bundled sounds are the same each time, differ from one another, and never clip', async () => {
  const takes = synthesised.classes.map((name) => synthesise(name, 3));
  expect(synthesise('bell', 3)).toEqual(takes[0]);
  expect(synthesise('bell', 4)).not.toEqual(takes[0]);
  for (const wave of takes) expect(wave.reduce((n, x) => Math.max(n, Math.abs(x)), 0)).toBeLessThan(1);
  const { samples, classes, kind } = synthesisedSounds();
  expect([kind, classes.length, samples.length]).toEqual(['audio', 8, 200]);
  const { samples: wave, seconds } = await decodeMono(await samples[0].entry.bytes(), samples[0].path, 16000);
  expect([wave.length, seconds]).toEqual([16000, 1]);
});

test('a spectrogram shows a tone as one bright row, and silence as none', () => {
  const tone = Float32Array.from({ length: 16000 }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / 16000));
  const { data, width, height } = spectrogramPicture(tone, 16000, 20, 32);
  const rowOf = (y: number) => data[(y * width + 10) * 3];
  const rows = Array.from({ length: height }, (_, y) => rowOf(y));
  const brightest = rows.indexOf(Math.max(...rows));
  expect(rows[brightest]).toBeGreaterThan(200);
  // 1 kHz is 15 of Slaney's mels, of 45 up to 8 kHz: a third of the way up.
  expect(brightest / height).toBeCloseTo(2 / 3, 1);
  const quiet = spectrogramPicture(new Float32Array(800), 16000, 4, 4);
  expect(new Set(quiet.data).size).toBeLessThanOrEqual(3);
});
