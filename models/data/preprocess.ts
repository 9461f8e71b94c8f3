import type { JsonObject } from '../checkpoints/folder.ts';
import type { Pixels } from './pixels.ts';
import { centreCrop, Resample, resize } from './resize.ts';

/** A `preprocessor_config.json` that asks for what is not done here, or is incomplete; the message says which. */
export class PreprocessError extends Error {
  override name = 'PreprocessError';

  constructor(message: string) {
    super(`preprocessor_config.json: ${message}`);
  }
}

/** What an image processor does, in this order: resize, centre crop, rescale, normalise. */
export interface Preprocessing {
  readonly resize:
    | { readonly width: number; readonly height: number }
    | { readonly shortestEdge: number }
    | undefined;
  readonly resample: Resample;
  readonly crop: { readonly width: number; readonly height: number } | undefined;
  /** Value of each byte (0 to 255) in each channel, row by row: [3, 256]; all arithmetic is in here. */
  readonly values: Float32Array;
}

interface Defaults {
  readonly square: boolean;
  readonly config: JsonObject;
}

const half = [0.5, 0.5, 0.5];
const clipMean = [0.48145466, 0.4578275, 0.40821073];
const clipStd = [0.26862954, 0.26130258, 0.27577711];
const common = { do_resize: true, do_rescale: true, do_normalize: true, rescale_factor: 1 / 255 };
const square = (side: number) => ({ height: side, width: side });
const clipLike = {
  ...common,
  do_center_crop: true,
  size: { shortest_edge: 224 },
  crop_size: square(224),
  resample: Resample.bicubic,
  image_mean: clipMean,
  image_std: clipStd,
};

/** What transformers fills in for each processor where the file is silent. */
const processors: Record<string, Defaults> = {
  ViTImageProcessor: {
    square: true,
    config: { ...common, size: square(224), resample: Resample.bilinear, image_mean: half, image_std: half },
  },
  DeiTImageProcessor: {
    square: true,
    config: {
      ...common,
      do_center_crop: true,
      size: square(256),
      crop_size: square(224),
      resample: Resample.bicubic,
      image_mean: half,
      image_std: half,
    },
  },
  BitImageProcessor: { square: false, config: clipLike },
  CLIPImageProcessor: { square: false, config: clipLike },
  SiglipImageProcessor: {
    square: true,
    config: { ...common, size: square(224), resample: Resample.bicubic, image_mean: half, image_std: half },
  },
  EfficientNetImageProcessor: {
    square: true,
    config: {
      ...common,
      size: square(346),
      crop_size: square(289),
      resample: Resample.bicubic,
      image_mean: half,
      image_std: half,
      include_top: true,
    },
  },
};

/** Processor names as files have had them over the years, to the one name in the table. */
function processorName(config: JsonObject): string | undefined {
  const name = config.image_processor_type ?? config.feature_extractor_type;
  return typeof name === 'string'
    ? name.replace(/FeatureExtractor$/, 'ImageProcessor').replace(/(Fast|Pil)$/, '')
    : undefined;
}

function complete(config: JsonObject): { config: JsonObject; square: boolean } {
  const name = processorName(config);
  const defaults = name === undefined ? { square: true, config: common } : processors[name];
  if (!defaults) {
    throw new PreprocessError(
      `image processor "${name}" is not known here (known: ${Object.keys(processors).join(', ')}); write its steps under one of these names.`,
    );
  }
  return { config: { ...defaults.config, ...config }, square: defaults.square };
}

/**
 * Reads the steps of a Hugging Face image processor. Throws `PreprocessError` for processors and options that are not
 * done here, and for values that make no sense.
 */
export function readPreprocessing(file: JsonObject): Preprocessing {
  const { config, square } = complete(file);
  if (config.do_pad) throw new PreprocessError('it asks for padding (do_pad), which is not done here.');
  if (config.crop_pct !== undefined)
    throw new PreprocessError('it uses crop_pct, which is not done here; give size and crop_size instead.');
  const resample = config.resample ?? Resample.bilinear;
  if (!Object.values(Resample).includes(resample as Resample))
    throw new PreprocessError(`resample ${resample} is no filter of Pillow (0 to 5).`);
  const crop = config.do_center_crop ? readSize(config.crop_size, true, 'crop_size') : undefined;
  if (crop && 'shortestEdge' in crop) throw new PreprocessError('crop_size needs a height and a width.');
  return {
    resize: config.do_resize ? readSize(config.size, square, 'size') : undefined,
    resample: resample as Resample,
    crop,
    values: byteValues(config),
  };
}

function isSide(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 16384;
}

function readSize(size: unknown, square: boolean, key: string): NonNullable<Preprocessing['resize']> {
  if (isSide(size)) return square ? { width: size, height: size } : { shortestEdge: size };
  if (Array.isArray(size) && size.length === 2 && size.every(isSide))
    return { height: size[0], width: size[1] };
  const { height, width, shortest_edge: shortestEdge, ...others } = (size ?? {}) as JsonObject;
  const rest = Object.keys(others).filter((name) => others[name] !== null && others[name] !== undefined);
  if (rest.length === 0 && isSide(height) && isSide(width)) return { width, height };
  if (rest.length === 0 && isSide(shortestEdge)) return { shortestEdge };
  throw new PreprocessError(
    `${key} is ${JSON.stringify(size)}; a height and a width, or a shortest_edge, are understood.`,
  );
}

function readChannels(value: unknown, key: string): number[] {
  const list = Array.isArray(value) ? value : [value, value, value];
  if (list.length === 3 && list.every((v) => typeof v === 'number' && Number.isFinite(v)))
    return list as number[];
  throw new PreprocessError(
    `${key} is ${JSON.stringify(value)}; a number for each of three channels is understood.`,
  );
}

/**
 * All values a byte can become. Rounding is where transformers' NumPy code rounds: the product in f64 once to f32,
 * then mean and standard deviation in f32.
 */
function byteValues(config: JsonObject): Float32Array {
  const { fround } = Math;
  const scale = config.do_rescale ? config.rescale_factor : 1;
  if (typeof scale !== 'number' || !(scale > 0))
    throw new PreprocessError(`rescale_factor is ${JSON.stringify(scale)}; a positive number is understood.`);
  const normalise = config.do_normalize || config.include_top;
  const mean = config.do_normalize ? readChannels(config.image_mean, 'image_mean') : [0, 0, 0];
  const std = normalise ? readChannels(config.image_std, 'image_std') : [1, 1, 1];
  if (std.includes(0)) throw new PreprocessError('image_std has a zero.');
  const values = new Float32Array(3 * 256);
  for (let i = 0; i < values.length; i++) {
    const channel = i >> 8;
    let value = fround((i & 255) * scale);
    if (config.rescale_offset && config.do_rescale) value = fround(value - 1);
    if (config.do_normalize) value = fround(fround(value - fround(mean[channel])) / fround(std[channel]));
    if (config.include_top) value = fround(value / fround(std[channel]));
    values[i] = value;
  }
  return values;
}

/**
 * The same file for another working size: the crop (or the exact size) becomes `side` × `side`, and what is resized to
 * before the crop keeps its proportion to it, rounded.
 */
export function withImageSize(file: JsonObject, side: number): JsonObject {
  const { config, square: squareSize } = complete(file);
  const size = config.do_resize ? readSize(config.size, squareSize, 'size') : undefined;
  const crop = config.do_center_crop ? readSize(config.crop_size, true, 'crop_size') : undefined;
  const exact = (s: typeof size) => (s && 'height' in s ? s : undefined);
  const basis =
    exact(crop)?.height ??
    exact(size)?.height ??
    (size as { shortestEdge: number } | undefined)?.shortestEdge;
  if (basis === undefined || basis === side) return file;
  const scaled = (length: number) => Math.round((length * side) / basis);
  const result: JsonObject = { ...file };
  if (crop) result.crop_size = square(side);
  if (size && 'shortestEdge' in size) result.size = { shortest_edge: scaled(size.shortestEdge) };
  else if (size)
    result.size = crop ? { height: scaled(size.height), width: scaled(size.width) } : square(side);
  return result;
}

/** A picture as a model takes it: channels, then rows: [3, height, width]. */
export interface ImageTensor {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** Size after resizing to a shortest edge; the longer one is rounded down, as transformers does. */
function resizedTo(
  image: Pixels,
  resizing: NonNullable<Preprocessing['resize']>,
): { width: number; height: number } {
  if (!('shortestEdge' in resizing)) return resizing;
  const { shortestEdge } = resizing;
  const long = (longer: number, shorter: number) => Math.floor((shortestEdge * longer) / shorter);
  return image.width <= image.height
    ? { width: shortestEdge, height: long(image.height, image.width) }
    : { width: long(image.width, image.height), height: shortestEdge };
}

/** Resizes and crops, still as bytes: what a thumbnail of the model's view shows. */
export function fitToModel(image: Pixels, { resize: resizing, resample, crop }: Preprocessing): Pixels {
  let result = image;
  if (resizing) {
    const { width, height } = resizedTo(image, resizing);
    result = resize(image, width, height, resample);
  }
  return crop ? centreCrop(result, crop.width, crop.height) : result;
}

/** All steps, into `out` where it is given (of 3 × height × width values), equal to transformers' Pillow processors. */
export function preprocess(image: Pixels, steps: Preprocessing, out?: Float32Array): ImageTensor {
  const { width, height, data: bytes } = fitToModel(image, steps);
  const plane = width * height;
  const data = out ?? new Float32Array(3 * plane);
  if (data.length !== 3 * plane) {
    throw new RangeError(`A picture of ${width} × ${height} does not fit a place for ${data.length} values.`);
  }
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) data[c * plane + i] = steps.values[c * 256 + bytes[i * 3 + c]];
  }
  return { width, height, data };
}
