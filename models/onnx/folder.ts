import { bytesSource } from '../checkpoints/bytes.ts';
import { CheckpointError } from '../checkpoints/errors.ts';
import { type FileTree, type JsonObject, readJson } from '../checkpoints/folder.ts';
import { adopt } from './adopt.ts';
import { type OnnxGraphFile, type OnnxValue, readOnnx } from './read.ts';

/** A dropped ONNX file as a folder that opens as a backbone. */
export interface OnnxFolder {
  readonly files: FileTree;
  /** What became of it, a sentence for a person. */
  readonly sentence: string;
}

/** ImageNet's mean and deviation: what exported classifiers nearly always want. */
const usual = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };

/**
 * Makes a backbone's folder of an ONNX file and what lies beside it: under a known family's names where its weights are
 * such a family's, else a folder that runs the graph itself. Null where the files hold weights of another kind, or no
 * ONNX file. Throws `CheckpointError` where it can be neither.
 */
export async function onnxFolder(given: FileTree): Promise<OnnxFolder | null> {
  if ([...given.keys()].some((name) => /\.(safetensors|bin|pt|pth|ckpt)$/i.test(name))) return null;
  const graphs = [...given.keys()].filter((name) => /\.onnx$/i.test(name));
  const name = graphs.includes('model.onnx') ? 'model.onnx' : graphs[0];
  if (name === undefined) return null;
  const graph = await readOnnx(given.get(name)!, name, (file) => given.get(file));
  const config = await readJson(given, 'config.json');
  if (config?.model_type === 'onnx') return null;
  const adopted = await adopt(graph, config);
  const beside = new Map([...given].filter(([file]) => !graph.external.has(file) && !graphs.includes(file)));
  const side = sideOf(graph.inputs[0]);
  if (adopted) {
    const files = new Map(beside);
    files.set('config.json', json(adopted.config));
    files.set('model.safetensors', adopted.weights);
    if (adopted.model.backbone.modality === 'image' && !files.has('preprocessor_config.json'))
      files.set(
        'preprocessor_config.json',
        json(preprocessor(side ?? adopted.model.backbone.size(adopted.model.config).default)),
      );
    const { title } = adopted.model.backbone;
    return { files, sentence: `The weights of ${name} are those of a ${title}, which it becomes.` };
  }
  if (graph.external.size > 0)
    throw new CheckpointError(
      name,
      `its weights are of no family that is known, and lie in another file (${[...graph.external].join(', ')}); save it with its weights inside to run it as it is.`,
    );
  const made = graphConfig(graph, name);
  const files = new Map([...beside, [name, given.get(name)!], ['config.json', json(made)]] as [
    string,
    ReturnType<typeof json>,
  ][]);
  if (!files.has('preprocessor_config.json'))
    files.set('preprocessor_config.json', json(preprocessor(made.image_size as number)));
  return { files, sentence: `${name} runs as it is, frozen, and a head trains on its features.` };
}

const json = (value: unknown) => bytesSource(new TextEncoder().encode(JSON.stringify(value, null, 2)));

const preprocessor = (side: number): JsonObject => ({
  image_processor_type: 'BitImageProcessor',
  do_convert_rgb: true,
  do_resize: true,
  size: { shortest_edge: Math.round((side * 256) / 224) },
  resample: 3,
  do_center_crop: true,
  crop_size: { height: side, width: side },
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  ...usual,
});

/** The side of the square pictures that an input takes; undefined where it does not say. */
function sideOf(input: OnnxValue | undefined): number | undefined {
  const side = input?.shape.length === 4 ? input.shape[3] : null;
  return side ?? undefined;
}

/** How a graph is run: which input takes pictures, which output gives features. */
function graphConfig(graph: OnnxGraphFile, file: string): JsonObject {
  const inputs = graph.inputs.filter(({ name }) => !graph.constants.has(name));
  const [input] = inputs;
  const takes = inputs
    .map(({ name, shape }) => `${name} [${shape.map((n) => n ?? '?').join(', ')}]`)
    .join(', ');
  const pictures = input?.shape.length === 4 && (input.shape[1] ?? 3) === 3 && input.dtype === 'F32';
  if (inputs.length !== 1 || !pictures || (input.shape[2] ?? 0) !== (input.shape[3] ?? 0))
    throw new CheckpointError(
      file,
      `its weights are of no family that is known, and it takes ${takes || 'nothing'}, not one batch of square pictures [batch, 3, side, side], so it cannot be run as a backbone.`,
    );
  const found = graph.outputs.map(featuresOf).filter((f) => f !== undefined);
  const best = found.find(({ layout }) => layout === 'features') ?? found[0];
  if (!best)
    throw new CheckpointError(
      file,
      'none of its outputs tells how wide its features are, so no head can be put on them; export it with a fixed width.',
    );
  return {
    model_type: 'onnx',
    input: input.name,
    ...best,
    image_size: input.shape[3] ?? 224,
    batch: input.shape[0],
  };
}

function featuresOf({ name, shape, dtype }: OnnxValue): JsonObject | undefined {
  const [layout, width] =
    shape.length === 2
      ? ['features', shape[1]]
      : shape.length === 3
        ? ['tokens', shape[2]]
        : ['map', shape[1]];
  if (dtype !== 'F32' || shape.length < 2 || shape.length > 4 || !width) return undefined;
  return { output: name, layout, width };
}
