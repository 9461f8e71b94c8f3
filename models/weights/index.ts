import type { BackboneSource } from '../open.ts';
import manifest from './manifest.json' with { type: 'json' };

/** A backbone that ships with the studio; its files lie in a folder beside this one. */
export interface EmbeddedBackbone extends BackboneSource {
  folder: string;
  /** Files of the folder with their bytes and hashes. */
  files: { file: string; bytes: number; sha256: string }[];
}

/** The embedded backbones, as `manifest.json` lists them. */
export const embeddedBackbones: readonly EmbeddedBackbone[] = manifest.backbones.map((b) => ({
  id: b.name,
  title: b.title,
  about: b.description,
  licence: b.licence,
  source: `${b.source.package} ${b.source.version} (${b.source.kind})`,
  bytes: b.files.find((f) => f.file === 'model.safetensors')!.bytes,
  folder: b.folder,
  files: b.files,
}));

/** The id of the one that is ready when the studio opens. */
export const defaultBackbone: string = manifest.default;
