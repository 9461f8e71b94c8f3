import jpegUrl from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm?url';
import webpUrl from '@jsquash/webp/codec/dec/webp_dec.wasm?url';
import { expose, transfer } from 'comlink';
import { decodeMono } from '../models/data/audio/decode.ts';
import { readSoundFeatures, soundFeatures } from '../models/data/audio/features.ts';
import { spectrogramPicture } from '../models/data/audio/picture.ts';
import { takeView, viewOf } from '../models/data/augment.ts';
import { type Decode, makeDecoder } from '../models/data/decode.ts';
import type { Pixels } from '../models/data/pixels.ts';
import { type Preprocessing, preprocess, readPreprocessing } from '../models/data/preprocess.ts';
import { Resample, resize } from '../models/data/resize.ts';
import { isSound, sniff, sniffLength } from '../models/data/sniff.ts';
import {
  type Inspected,
  type SampleWorker,
  thumbnailSide,
  type WantedPicture,
  type WantedSound,
} from './datasets/jobs.ts';
import { keepErrorFields } from './errors.ts';

/** Decodes and prepares pictures and sounds; started and fed by the engine's pool. */

let decoder: Promise<Decode> | undefined;

async function startDecoder(): Promise<Decode> {
  const compile = async (url: string) => WebAssembly.compile(await (await fetch(url)).arrayBuffer());
  const [jpeg, webp] = await Promise.all([compile(jpegUrl), compile(webpUrl)]);
  return makeDecoder({ jpeg, webp });
}

async function decode(bytes: Uint8Array, path: string): Promise<Pixels> {
  decoder ??= startDecoder();
  return (await decoder)(bytes, path);
}

async function thumbnailOf(image: Pixels): Promise<Uint8Array> {
  const scale = Math.min(1, thumbnailSide / Math.max(image.width, image.height));
  const width = Math.max(1, Math.round(image.width * scale));
  const height = Math.max(1, Math.round(image.height * scale));
  const small = resize(image, width, height, Resample.bicubic);
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < small.data.length; from += 3, to += 4)
    rgba.set(small.data.subarray(from, from + 3), to);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')!.putImageData(new ImageData(rgba, width, height), 0, 0);
  const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.85 });
  return new Uint8Array(await blob.arrayBuffer());
}

/** The last configuration read: all pictures of a run share it. */
let steps: { text: string; read: Preprocessing } | undefined;

function stepsOf({ preprocessor }: WantedPicture): Preprocessing {
  const text = JSON.stringify(preprocessor);
  if (steps?.text !== text) steps = { text, read: readPreprocessing(preprocessor) };
  return steps.read;
}

function seen(image: Pixels, { view }: WantedPicture): Pixels {
  if (!view) return image;
  return takeView(image, viewOf(image.width, image.height, view.settings, view.seed, view.sample, view.view));
}

/** The rate at which sounds are drawn. */
const drawnRate = 16000;

async function inspected(bytes: Uint8Array, path: string): Promise<Omit<Inspected, 'bytes'>> {
  if (!isSound(sniff(bytes.subarray(0, sniffLength)))) {
    const image = await decode(bytes, path);
    return { thumbnail: await thumbnailOf(image) };
  }
  const { samples, seconds } = await decodeMono(bytes, path, drawnRate);
  return {
    seconds,
    thumbnail: await thumbnailOf(spectrogramPicture(samples, drawnRate, thumbnailSide, thumbnailSide)),
  };
}

async function featuresOf(bytes: Uint8Array, path: string, want: WantedSound): Promise<Float32Array> {
  const steps = readSoundFeatures(want.preprocessor);
  const { samples } = await decodeMono(bytes, path, steps.rate);
  return soundFeatures(samples, steps, want.frames);
}

const api: SampleWorker = {
  async inspect(bytes, path) {
    const found = await inspected(bytes, path);
    return transfer({ bytes, ...found }, [bytes.buffer, found.thumbnail.buffer] as ArrayBuffer[]);
  },

  async load(bytes, path, want) {
    const data =
      want.kind === 'audio'
        ? await featuresOf(bytes, path, want)
        : preprocess(seen(await decode(bytes, path), want), stepsOf(want)).data;
    return transfer(data, [data.buffer as ArrayBuffer]);
  },
};

keepErrorFields();
expose(api);
