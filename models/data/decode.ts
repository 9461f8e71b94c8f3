import createJpeg, { type MozJPEGModule } from '@jsquash/jpeg/codec/dec/mozjpeg_dec.js';
import createWebp, { type WebPModule } from '@jsquash/webp/codec/dec/webp_dec.js';
import { DecodeError } from './errors.ts';
import { readImageHeader } from './imageSize.ts';
import { layOnWhite, type Pixels } from './pixels.ts';
import { decodePng } from './png.ts';
import { isImage, sniff, sniffLength, whyNotImage } from './sniff.ts';

/**
 * The compiled WASM of the codecs. How it is loaded differs, so the caller brings it:
 * - browser worker: `import jpegUrl from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm?url'` (and
 *   `'@jsquash/webp/codec/dec/webp_dec.wasm?url'`), then `WebAssembly.compileStreaming(fetch(jpegUrl))`; a compiled
 *   module can be posted to other workers;
 * - Node: `nodeCodecs()` of `tools/codecs/node.ts`.
 */
export interface Codecs {
  readonly jpeg: WebAssembly.Module;
  readonly webp: WebAssembly.Module;
}

/** Pictures above this are refused before decoding: 100 megapixels. */
export const maxPixels = 100_000_000;

/**
 * Decodes JPEG, PNG or WebP, told by content, to 8-bit RGB: transparency laid on white, grey and palettes expanded, a
 * JPEG's EXIF orientation applied; bit for bit what Pillow and transformers 5 make of it. `path` names the file in
 * errors. Throws `DecodeError`.
 */
export type Decode = (bytes: Uint8Array, path: string) => Promise<Pixels>;

/** A decoder with its own codec instances; one for each worker. */
export function makeDecoder(codecs: Codecs): Decode {
  const jpeg = codec<MozJPEGModule>(createJpeg, codecs.jpeg);
  const webp = codec<WebPModule>(createWebp, codecs.webp);
  return async (bytes, path) => {
    const kind = sniff(bytes.subarray(0, sniffLength));
    if (!isImage(kind)) throw new DecodeError(path, whyNotImage(kind));
    const header = readImageHeader(bytes, kind);
    if (!header) throw new DecodeError(path, `its ${kind.toUpperCase()} header is damaged; save it again`);
    if (header.width * header.height > maxPixels) {
      throw new DecodeError(
        path,
        `it has ${header.width} × ${header.height} pixels, above the 100 million that are decoded; make it smaller`,
      );
    }
    if (kind === 'jpeg' && header.components === 4)
      throw new DecodeError(path, 'it is a CMYK JPEG made for print; save it as RGB');
    if (header.animated) throw new DecodeError(path, 'it is an animated WebP; save one picture of it');
    try {
      if (kind === 'png') return decodePng(bytes);
      if (kind === 'jpeg') return await jpeg((module) => module.decode(bytes as BufferSource, true));
      return await webp((module) => module.decode(bytes as BufferSource));
    } catch (error) {
      throw new DecodeError(
        path,
        `this ${kind.toUpperCase()} cannot be decoded: ${(error as Error).message}; save it again`,
      );
    }
  };
}

interface Printed {
  readonly printErr: (line: string) => void;
}

/**
 * Runs a call on a codec's instance. A codec that fails leaves memory and stack behind, until no picture decodes any
 * more, so after a failure the next call gets a fresh instance.
 */
function codec<T>(create: (options: never) => Promise<T>, module: WebAssembly.Module) {
  let instance: Promise<T> | undefined;
  let complaint = '';
  const options: Printed & Record<string, unknown> = {
    noInitialRun: true,
    printErr: (line) => {
      complaint ||= line;
    },
    instantiateWasm: (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => {
      const made = new WebAssembly.Instance(module, imports);
      done(made);
      return made.exports;
    },
  };
  return async (call: (module: T) => ImageData | null): Promise<Pixels> => {
    instance ??= create({ ...options } as never);
    const ready = await instance;
    complaint = '';
    try {
      const image = call(ready);
      // The JPEG codec fills what is missing with grey and only says so; a picture half grey must not be trained on.
      if (!image || /premature end/i.test(complaint)) throw new Error(complaint || 'its data is damaged');
      return layOnWhite(image.width, image.height, image.data);
    } catch (error) {
      instance = undefined;
      throw new Error(complaint || (error as Error).message || 'its data is damaged');
    }
  };
}
