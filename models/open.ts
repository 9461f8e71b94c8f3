import { type AnyBackbone, backboneFor } from './backbones/index.ts';
import type { HuggingFaceFolder } from './checkpoints/folder.ts';
import type { BackboneCard } from './describe.ts';
import { Model, sizeSetting } from './model.ts';
import { tasks } from './tasks/index.ts';

/** A folder's model, ready to trace; weights stay in the file until asked for. Throws `ConfigError` or `CheckpointError`. */
export function openModel({ config, checkpoint }: HuggingFaceFolder): Model {
  const backbone: AnyBackbone = backboneFor(config);
  return new Model(backbone, backbone.configure(config), checkpoint);
}

/** What the architecture does not know of a backbone. */
export interface BackboneSource {
  id: string;
  title: string;
  /** One sentence: where its weights come from and what they know. */
  about: string;
  licence: string;
  source: string;
  /** Bytes of the weight file. */
  bytes: number;
}

/** A backbone as the page shows it. */
export function describeBackbone(
  model: Model,
  { id, title, about, licence, source, bytes }: BackboneSource,
): BackboneCard {
  const { backbone, config, modules, blocks, parameterCount } = model;
  const size = backbone.size(config);
  return {
    id,
    title,
    about,
    licence,
    source,
    bytes,
    family: backbone.title,
    parameters: parameterCount,
    blocks,
    modules,
    presets: backbone.presets(config),
    modality: backbone.modality,
    tasks: tasks.filter((t) => t.fits(model)).map((t) => t.id),
    size: { ...size, setting: sizeSetting[size.unit] },
    defaults: backbone.defaults(config),
  };
}
