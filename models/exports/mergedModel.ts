import type { Backbone } from '../backbones/backbone.ts';
import { locate } from '../backbones/names.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { type Checkpoint, type TensorToWrite, writeSafetensors } from '../checkpoints/safetensors.ts';
import { turned } from '../checkpoints/turned.ts';
import { makeZip } from '../data/zip.ts';
import type { Tensors } from '../methods/method.ts';

/** A backbone with changed weights and a head, to be saved as its library saves a model. */
export interface MergedModel {
  readonly backbone: Pick<
    Backbone,
    'diskName' | 'diskPart' | 'diskTransposed' | 'basePrefix' | 'taskClass' | 'family'
  >;
  readonly checkpoint: Checkpoint;
  /** `config.json` of the base. */
  readonly config: JsonObject;
  /** Weights as they become, by run-time path. */
  readonly merged: ReadonlyMap<string, Float32Array>;
  /** The head's tensors by path. */
  readonly head: Tensors;
  /** Class names in the order of the head's outputs. */
  readonly classes: readonly string[];
  /** Empty where it reads text. */
  readonly preprocessor: JsonObject;
  /** Files of the tokenizer by name, where it reads text. */
  readonly tokenizer?: ReadonlyMap<string, Uint8Array>;
  /** `README.md`. */
  readonly card: string;
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/**
 * The folder that `from_pretrained` (or timm's `local-dir:`) opens, as a zip: `config.json`, `model.safetensors` under the
 * names that files of the family carry, `preprocessor_config.json`, `labels.json` and the card. What was not changed keeps
 * its bytes; what was, and the head, is F32.
 */
export async function mergedModelZip(model: MergedModel): Promise<Uint8Array> {
  const weights = writeSafetensors(await mergedTensors(model), { format: 'pt' });
  return makeZip(
    new Map<string, Uint8Array | string>([
      ['README.md', model.card],
      ['config.json', withFloats(json(configOf(model)))],
      ['model.safetensors', weights],
      ...(Object.keys(model.preprocessor).length
        ? ([['preprocessor_config.json', json(model.preprocessor)]] as const)
        : []),
      ...(model.tokenizer ?? []),
      ['labels.json', json(model.classes)],
    ]),
  );
}

async function mergedTensors(model: MergedModel): Promise<TensorToWrite[]> {
  const { checkpoint, backbone, merged, head } = model;
  const names = checkpoint.names();
  const { basePrefix } = backbone;
  // A file of the bare model lacks what the task class puts before its names.
  const bare = basePrefix !== '' && !names.some((name) => name.startsWith(basePrefix));
  const headNames = new Set([...head.keys()].map((path) => backbone.diskName(path)));
  const changed = await changedTensors(model);
  const kept = names.filter((name) => !headNames.has(name) && !changed.has(name));
  const tensors: TensorToWrite[] = [];
  for (const name of [...kept, ...changed.keys()]) {
    const { shape, dtype } = checkpoint.info(name);
    const data = changed.get(name);
    const to = bare ? basePrefix + name : name;
    if (data) tensors.push({ name: to, shape, data });
    // Codes without their scales would be other numbers; no library reads them under these names.
    else if (dtype === 'I8')
      tensors.push({ name: to, shape, dtype: 'F16', data: await checkpoint.f32(name) });
    else tensors.push({ name: to, shape, dtype, data: await checkpoint.bytes(name) });
  }
  for (const [path, { shape, data }] of head) tensors.push({ name: backbone.diskName(path), shape, data });
  if (merged.size && !changed.size) throw new RangeError('No merged weight is in the checkpoint.');
  return tensors;
}

/** Stored tensors that change, whole: several run-time modules may lie in one. */
async function changedTensors({ checkpoint, backbone, merged }: MergedModel) {
  const changed = new Map<string, Float32Array>();
  for (const [path, data] of merged) {
    const place = locate(checkpoint, backbone, path);
    if (!place) throw new RangeError(`The checkpoint has no '${path}'.`);
    const own = backbone.diskTransposed?.(path) ? turned(data, checkpoint.info(place.name).shape) : data;
    const whole = changed.get(place.name) ?? (place.part ? await checkpoint.f32(place.name) : own);
    if (place.part) whole.set(own, (place.part.part * whole.length) / place.part.of);
    changed.set(place.name, whole);
  }
  return changed;
}

/** Keys of configurations that hold floats, by what they end in. */
const floats =
  /^(\s*"\w*(?:_prob|drop\w*_rate|dropout|_pdrop|_eps|_epsilon|initializer_range|initializer_factor|layerscale_value|_init_value|_theta|_momentum)": -?\d+)(,?)$/gm;

/** JavaScript writes 1.0 as 1, and transformers 5 refuses a whole number where its classes declare a float. */
const withFloats = (text: string): string => text.replace(floats, '$1.0$2');

function configOf({ config: own, backbone, classes }: MergedModel): JsonObject {
  const { quantization_config: _, ...config } = own;
  if (backbone.family === 'timm') {
    const pretrained = (config.pretrained_cfg ?? {}) as JsonObject;
    return {
      ...config,
      num_classes: classes.length,
      label_names: [...classes],
      pretrained_cfg: { ...pretrained, num_classes: classes.length },
    };
  }
  return {
    ...config,
    architectures: [backbone.taskClass],
    num_labels: classes.length,
    id2label: Object.fromEntries(classes.map((label, i) => [i, label])),
    label2id: Object.fromEntries(classes.map((label, i) => [label, i])),
    // Some weights are halves and some are not: all are computed in single precision.
    dtype: 'float32',
    torch_dtype: 'float32',
  };
}

/** What a merged model's card tells. */
export interface MergedCard {
  readonly title: string;
  readonly base: string;
  readonly baseLicence?: string;
  readonly library: 'transformers' | 'timm';
  /** The class to load it with, or timm's architecture. */
  readonly model: string;
  /** Side of the pictures; null where it reads something else. */
  readonly side: number | null;
  readonly interpolatePositions: boolean;
  /** What was merged, in a sentence. */
  readonly about: string;
  readonly classes: readonly string[];
}

const plain = (text: string) => text.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]<>#|]/g, '\\$&');

/** `README.md` of a merged model. */
export function mergedCard(card: MergedCard): string {
  const timm = card.library === 'timm';
  const load = timm
    ? ['import timm', '', 'model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()']
    : [
        `from transformers import ${card.model}`,
        '',
        `model = ${card.model}.from_pretrained("FOLDER").eval()`,
        ...(card.interpolatePositions
          ? ['# Positions were learnt at another size:', '# model(pixels, interpolate_pos_encoding=True)']
          : []),
      ];
  const front = [
    '---',
    `library_name: ${card.library}`,
    ...(card.baseLicence ? [`license: ${card.baseLicence.toLowerCase()}`] : []),
    ...(card.side === null ? [] : ['pipeline_tag: image-classification']),
    '---',
  ];
  return [
    front.join('\n'),
    `# ${plain(card.title)}`,
    `${plain(card.base)} with ${card.about} merged into its weights: no adapter is needed any more. It tells ${card.classes.length} classes apart, named in \`labels.json\`.${card.side === null ? '' : ` Pictures are brought to ${card.side} × ${card.side} pixels by \`preprocessor_config.json\`.`}`,
    `\`\`\`python\n${load.join('\n')}\n\`\`\``,
    '',
  ].join('\n\n');
}
