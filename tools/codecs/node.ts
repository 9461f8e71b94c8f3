import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Codecs } from '../../models/data/decode.ts';

const require = createRequire(import.meta.url);

async function compile(path: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(require.resolve(path)));
}

/** The picture codecs' WASM, compiled from the installed packages. Workers in the browser load the same files by URL. */
export async function nodeCodecs(): Promise<Codecs> {
  const [jpeg, webp] = await Promise.all([
    compile('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'),
    compile('@jsquash/webp/codec/dec/webp_dec.wasm'),
  ]);
  return { jpeg, webp };
}
