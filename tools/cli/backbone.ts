import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ByteSource } from '../../models/checkpoints/bytes.ts';
import { type HuggingFaceFolder, openFolder } from '../../models/checkpoints/folder.ts';
import { poolingFile, poolsMean, tokenizerFiles } from '../../models/data/text/openTokenizer.ts';
import type { Model } from '../../models/model.ts';
import { onnxFolder } from '../../models/onnx/folder.ts';
import { openModel } from '../../models/open.ts';
import { defaultBackbone, embeddedBackbones } from '../../models/weights/index.ts';
import { stateFile } from '../../workers/hub/state.ts';
import { UsageError } from './args.ts';
import { fromHub, type HubArguments, isHubName } from './hub.ts';

const weightsFolder = fileURLToPath(new URL('../../models/weights/', import.meta.url));

export interface OpenBackbone {
  name: string;
  folder: string;
  files: HuggingFaceFolder;
  model: Model;
  /** Of configuration and weight bytes. */
  hash: string;
  title: string;
  licence?: string;
  about?: string;
  /** The files of its tokenizer. */
  tokenizerFiles(): Promise<Map<string, Uint8Array>>;
  /** Whether a sentence model's folder says that the mean over tokens is its output. */
  poolsMean: boolean;
  /** Every file of the base, for a download that brings it along. */
  baseFiles(): Promise<Map<string, Uint8Array>>;
}

/** Opens an embedded backbone by name, a Hugging Face folder or an ONNX file by path, or a model on a hub, `owner/name@revision`. */
export async function openBackbone(name = defaultBackbone, from: HubArguments = {}): Promise<OpenBackbone> {
  const folder = await folderOf(name, from);
  const found = await sourcesIn(folder);
  const sources = (await onnxFolder(found))?.files ?? found;
  const files = await openFolder(sources);
  const digest = createHash('sha256');
  for (const [file, source] of [...sources].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (/^(config\.json|.*\.(safetensors|bin|pt|pth|ckpt|onnx))$/.test(file))
      for (let at = 0; at < source.size; at += pieceBytes)
        digest.update(await source.read(at, Math.min(source.size, at + pieceBytes)));
  const card = embeddedBackbones.find((b) => b.id === name);
  const whole = async (wanted: (file: string) => boolean) =>
    new Map(
      await Promise.all(
        [...sources].filter(([f]) => wanted(f)).map(async ([f, s]) => [f, await s.read(0, s.size)] as const),
      ),
    );
  return {
    name,
    folder,
    files,
    model: openModel(files),
    hash: digest.digest('hex').slice(0, 16),
    title: card?.title ?? (folder === name ? basename(folder) : name),
    licence: card?.licence,
    about: card?.about,
    poolsMean: await poolsMean(sources),
    tokenizerFiles: () => whole((f) => (tokenizerFiles as readonly string[]).includes(f)),
    baseFiles: () => whole(() => true),
  };
}

/** Files of a folder that a model is made of, or the one ONNX file. */
async function sourcesIn(path: string): Promise<Map<string, ByteSource>> {
  if ((await stat(path)).isFile()) return new Map([[basename(path), await fileSource(path)]]);
  const names = (await readdir(path)).filter(
    (f) =>
      /\.(json|safetensors|bin|pt|pth|ckpt|jinja|onnx|onnx_data|data)$|^vocab\.txt$/.test(f) &&
      f !== stateFile,
  );
  if (existsSync(join(path, poolingFile))) names.push(poolingFile);
  return new Map(await Promise.all(names.map(async (f) => [f, await fileSource(join(path, f))] as const)));
}

/** Bytes of a file that are in memory at once. */
const pieceBytes = 16 * 2 ** 20;

async function folderOf(name: string, from: HubArguments): Promise<string> {
  const embedded = join(weightsFolder, name);
  for (const folder of [embedded, name]) if (existsSync(join(folder, 'config.json'))) return folder;
  if (/\.onnx$/i.test(name) && existsSync(name)) return name;
  if (!existsSync(name) && isHubName(name, from)) return fromHub(name, from);
  throw new UsageError(
    `'${name}' is neither an embedded backbone, a folder with a config.json, an ONNX file, nor owner/name on a hub.`,
  );
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
