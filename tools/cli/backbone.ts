import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ByteSource } from '../../models/checkpoints/bytes.ts';
import { type HuggingFaceFolder, openFolder } from '../../models/checkpoints/folder.ts';
import type { Model } from '../../models/model.ts';
import { openModel } from '../../models/open.ts';
import { UsageError } from './args.ts';

const weightsFolder = fileURLToPath(new URL('../../models/weights/', import.meta.url));

export interface OpenBackbone {
  name: string;
  folder: string;
  files: HuggingFaceFolder;
  model: Model;
  /** Of configuration and weight bytes. */
  hash: string;
}

/** Opens an embedded backbone by name, or a Hugging Face folder by path. */
export async function openBackbone(name = 'efficientnet-lite0'): Promise<OpenBackbone> {
  const embedded = join(weightsFolder, name);
  const folder = existsSync(join(embedded, 'config.json')) ? embedded : name;
  if (!existsSync(join(folder, 'config.json')))
    throw new UsageError(`'${name}' is neither an embedded backbone nor a folder with a config.json.`);
  const names = (await readdir(folder)).filter((f) => /\.(json|safetensors|bin|pt|pth|ckpt)$/.test(f));
  const sources = new Map(
    await Promise.all(names.map(async (f) => [f, await fileSource(join(folder, f))] as const)),
  );
  const files = await openFolder(sources);
  const digest = createHash('sha256');
  for (const [file, source] of [...sources].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (/^(config\.json|.*\.safetensors)$/.test(file)) digest.update(await source.read(0, source.size));
  return { name, folder, files, model: openModel(files), hash: digest.digest('hex').slice(0, 16) };
}

async function fileSource(path: string): Promise<ByteSource> {
  const { size } = await stat(path);
  return {
    size,
    async read(begin, end) {
      const file = await open(path);
      try {
        const bytes = new Uint8Array(end - begin);
        await file.read(bytes, 0, bytes.length, begin);
        return bytes;
      } finally {
        await file.close();
      }
    },
  };
}
