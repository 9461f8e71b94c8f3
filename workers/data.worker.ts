import jpegUrl from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm?url';
import webpUrl from '@jsquash/webp/codec/dec/webp_dec.wasm?url';
import { expose, transfer } from 'comlink';
import { takeView, viewOf } from '../models/data/augment.ts';
import { type Decode, makeDecoder } from '../models/data/decode.ts';
import type { Pixels } from '../models/data/pixels.ts';
import { type Preprocessing, preprocess, readPreprocessing } from '../models/data/preprocess.ts';
import { Resample, resize } from '../models/data/resize.ts';
import { type PictureWorker, thumbnailSide, type Wanted } from './datasets/jobs.ts';
import { keepErrorFields } from './errors.ts';

/** Decodes and preprocesses pictures; started and fed by the engine's pool. */

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

function stepsOf({ preprocessor }: Wanted): Preprocessing {
  const text = JSON.stringify(preprocessor);
  if (steps?.text !== text) steps = { text, read: readPreprocessing(preprocessor) };
  return steps.read;
}

function seen(image: Pixels, { view }: Wanted): Pixels {
  if (!view) return image;
  return takeView(image, viewOf(image.width, image.height, view.settings, view.seed, view.sample, view.view));
}

const api: PictureWorker = {
  async inspect(bytes, path) {
    const image = await decode(bytes, path);
    const thumbnail = await thumbnailOf(image);
    const { width, height } = image;
    return transfer({ bytes, width, height, thumbnail }, [bytes.buffer, thumbnail.buffer] as ArrayBuffer[]);
  },

  async load(bytes, path, want) {
    const image = await decode(bytes, path);
    const { data } = preprocess(seen(image, want), stepsOf(want));
    return transfer(data, [data.buffer as ArrayBuffer]);
  },
};

keepErrorFields();
expose(api);
