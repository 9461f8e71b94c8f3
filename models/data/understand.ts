import { CheckpointError } from '../checkpoints/errors.ts';
import { readSafetensors } from '../checkpoints/safetensors.ts';
import { isKohya } from '../exports/kohya.ts';
import { baseName, type FileEntry, folderName, headOf, isJunk, normalPath, sourceOf } from './entry.ts';
import { isImage, isSound, sniff, sniffLength } from './sniff.ts';
import { mayBeTexts } from './text/table.ts';

/** What a drop is, by its content. */
export interface Understanding {
  readonly kind: 'images' | 'sounds' | 'adapter' | 'backbone' | 'table' | 'zip' | 'unknown';
  /** One sentence for a person. */
  readonly sentence: string;
  /** Folder within the drop that it is about; empty for the drop itself. */
  readonly folder: string;
}

/** At most this many files are opened to tell what a drop is. */
const looks = 200;

/**
 * Tells what a drop is: an adapter where there is an `adapter_config.json` or a `graft.safetensors`, a backbone where `config.json` lies beside
 * weights, a single zip (to be opened and understood again), pictures or sounds, whichever come first, or a table. They
 * are told by content.
 */
export async function understand(entries: readonly FileEntry[]): Promise<Understanding> {
  const files = entries
    .map((entry) => ({ path: normalPath(entry.path), entry }))
    .filter(({ path }) => !isJunk(path));
  const paths = files
    .map(({ path }) => path)
    .sort((a, b) => a.split('/').length - b.split('/').length || (a < b ? -1 : 1));
  if (files.length === 0) return { kind: 'unknown', sentence: 'There is no file in this drop.', folder: '' };
  const config = paths.find((path) => ['adapter_config.json', 'graft.safetensors'].includes(baseName(path)));
  if (config !== undefined)
    return {
      kind: 'adapter',
      sentence: `An adapter: ${config} holds or describes it.`,
      folder: folderName(config),
    };
  const isWeights = (path: string) => /\.(safetensors|safetensors\.index\.json|bin|pt|pth)$/i.test(path);
  const model = paths.find(
    (path) =>
      baseName(path) === 'config.json' &&
      paths.some((p) => isWeights(p) && folderName(p) === folderName(path)),
  );
  if (model !== undefined)
    return {
      kind: 'backbone',
      sentence: `A backbone: ${model} describes it, with weights beside it.`,
      folder: folderName(model),
    };
  const graph = paths.find((path) => /\.onnx$/i.test(path));
  if (graph !== undefined)
    return { kind: 'backbone', sentence: `An ONNX file, ${graph}.`, folder: folderName(graph) };
  return byContent(files);
}

/** Looks for kohya's names in a safetensors file's header; whatever is no such file holds none. */
async function holdsKohya(entry: FileEntry): Promise<boolean> {
  try {
    return isKohya((await readSafetensors(sourceOf(entry), entry.path)).names());
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

async function byContent(files: readonly { path: string; entry: FileEntry }[]): Promise<Understanding> {
  let tables = 0;
  for (const { path, entry } of files.slice(0, looks)) {
    const kind = sniff(await headOf(entry, sniffLength));
    if (isImage(kind)) return { kind: 'images', sentence: `Pictures, ${path} among them.`, folder: '' };
    if (isSound(kind)) return { kind: 'sounds', sentence: `Sounds, ${path} among them.`, folder: '' };
    if (kind === 'zip' && files.length === 1) return { kind: 'zip', sentence: `A zip, ${path}.`, folder: '' };
    if ((kind === 'text' || /\.parquet$/i.test(path)) && mayBeTexts(path)) tables++;
  }
  if (tables > 0) return { kind: 'table', sentence: 'Texts, or a table of them.', folder: '' };
  const adapterOnly = files.find(({ path }) => /\.safetensors$/i.test(path));
  if (adapterOnly && (await holdsKohya(adapterOnly.entry)))
    return { kind: 'adapter', sentence: `An adapter: ${adapterOnly.path}, in kohya's layout.`, folder: '' };
  if (adapterOnly) {
    return {
      kind: 'unknown',
      sentence: `${adapterOnly.path} holds weights, but no adapter_config.json or config.json beside it says whose; drop the whole folder.`,
      folder: '',
    };
  }
  return {
    kind: 'unknown',
    sentence: `Neither pictures (JPEG, PNG, WebP), sounds (WAV, FLAC, MP3, Ogg Vorbis), texts (CSV, JSON, TXT, Parquet), an adapter nor a backbone was found among ${files.length} files.`,
    folder: '',
  };
}
