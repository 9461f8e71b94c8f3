import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bytesSource, readSafetensors } from '../../checkpoints/safetensors.ts';
import { DecodeError } from '../errors.ts';
import { sniff } from '../sniff.ts';
import { decodeMono, decodeSound } from './decode.ts';
import { encodeWav } from './wav.ts';

const folder = new URL('../../../tools/reference/fixtures/sounds/', import.meta.url);
const read = (file: string) => new Uint8Array(readFileSync(new URL(file, folder)));
const expected = await readSafetensors(bytesSource(read('decoded.safetensors')));

test.each(expected.names())('%s is what libsndfile reads', async (file) => {
  const sound = await decodeSound(read(file), file);
  const wanted = await expected.f32(file);
  const [channels, length] = expected.info(file).shape;
  const lossy = /mp3|ogg/.test(file);
  expect(sound.rate).toBe(/ogg/.test(file) ? 16000 : channels === 2 ? 22050 : 8000);
  expect(sound.channels.length).toBe(channels);
  expect(sound.channels[0].length).toBe(length);
  let worst = 0;
  sound.channels.forEach((channel, c) => {
    channel.forEach((x, i) => {
      worst = Math.max(worst, Math.abs(x - wanted[c * length + i]));
    });
  });
  expect(worst).toBeLessThanOrEqual(lossy ? 2e-4 : 0);
});

test('a stream without a length is read to its end', async () => {
  const [streamed, whole] = await Promise.all(
    ['streamed.wav', 'pcm16.wav'].map((f) => decodeSound(read(f), f)),
  );
  expect(streamed).toEqual(whole);
});

const corrupt = (file: string, from: number) =>
  read(file).map((byte, i) => (i >= from ? (byte * 31 + i * 17) & 255 : byte));

test.each([
  ['cut.wav', read('cut.wav'), /cut off: \d+ of \d+ bytes/],
  ['mulaw.wav', read('mulaw.wav'), /µ-law/],
  ['mono.opus', read('mono.opus'), /Opus/],
  ['picture.jpg', new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 0, 0]), /a picture/],
  ['empty.wav', new Uint8Array(0), /empty/],
  ['header.flac', read('stereo.flac').slice(0, 60), /FLAC cannot be decoded/],
  ['noise.flac', corrupt('stereo.flac', 400), /FLAC cannot be decoded/],
  ['noise.ogg', corrupt('mono.ogg', 100), /OGG cannot be decoded/],
  ['tag.mp3', new TextEncoder().encode('ID3 and nothing else'), /MP3 cannot be decoded/],
  ['nan.wav', nanWav(), /no numbers/],
  ['nothing.wav', encodeWav(new Float32Array(0), 8000), /no sound/],
])('%s is refused with a reason', async (path, bytes, reason) => {
  const error = await decodeSound(bytes, path).then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(DecodeError);
  expect((error as DecodeError).message).toMatch(reason);
});

function nanWav(): Uint8Array {
  const bytes = read('float.wav');
  new DataView(bytes.buffer).setUint32(bytes.length - 8, 0x7fc00000, true);
  return bytes;
}

test('mono is the mean of the channels, at the rate asked for', async () => {
  const { samples, seconds } = await decodeMono(read('pcm16.wav'), 'x', 16000);
  expect(samples.length).toBe(Math.ceil((1764 * 16000) / 22050));
  expect(seconds).toBeCloseTo(0.08, 5);
});

test('what is written as WAV is read back', async () => {
  const wave = Float32Array.from({ length: 50 }, (_, i) => Math.round(Math.sin(i) * 20000) / 32768);
  const { channels, rate } = await decodeSound(encodeWav(wave, 16000), 'x');
  expect(rate).toBe(16000);
  expect(channels[0]).toEqual(wave);
});

test.each([
  ['clip.wav', 'wav'],
  ['stereo.mp3', 'mp3'],
  ['mono.ogg', 'ogg'],
  ['stereo.flac', 'flac'],
  ['mono.opus', 'opus'],
])('%s is told by its content', (file, kind) => {
  expect(sniff(read(file).subarray(0, 512))).toBe(kind);
});
