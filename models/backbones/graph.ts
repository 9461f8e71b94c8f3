import { type Op, type Tensor, trace } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { readNumber } from './readConfig.ts';

/** A dropped ONNX graph as the backbone it is run as. */
export interface GraphConfig {
  /** Name of the graph's input for pictures [batch, 3, side, side]. */
  input: string;
  /** Name of the output that features are made of. */
  output: string;
  /** Axes of the output: features alone, tokens before features, or features before a map of places. */
  layout: 'features' | 'tokens' | 'map';
  /** Numbers that are a picture's features. */
  width: number;
  side: number;
  /** Pictures the graph takes at a time; null for any number. */
  batch: number | null;
}

/** The tensor under which the checkpoint of such a folder keeps the graph's own bytes. */
export const graphTensor = 'graph';

/** A graph that ONNX Runtime computes. It is always the frozen prefix, so that no shader ever stands for it. */
const graphOp: Op<{ width: number; output: string }> = {
  name: 'onnxGraph',
  infer: ([pixels], { width }) => [{ shape: [pixels.shape[0], width], dtype: 'f32' }],
  lower: {
    kind: 'kernels',
    fuses: false,
    emit: () => {
      throw new ConfigError('This backbone is an ONNX graph, which only ONNX Runtime computes.');
    },
  },
};

const runGraph = (pixels: Tensor, attrs: { width: number; output: string }) =>
  trace(graphOp, [pixels], attrs)[0];

/** Any ONNX graph that takes pictures: frozen whole, with a head that trains on its features. */
export const graph: Backbone<GraphConfig> = {
  family: 'onnx',
  title: 'ONNX graph',
  accepts: (config) => config.model_type === 'onnx',
  configure,
  basePrefix: '',
  diskName: (path) => path,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),
  forward(_, { pixels }, { width, output }) {
    const features = runGraph(pixels, { width, output });
    return { features, last: features };
  },
  featureSize: ({ width }) => width,
  blocks: () => 0,
  blockOf: () => 0,
  head: () => linearHead('classifier'),
  taskClass: 'onnx',
  presets: () => [{ id: 'none', label: 'Nothing: the graph stays whole', targets: [] }],
  size: ({ side }) => ({ default: side, min: side, max: side, multiple: 1, unit: 'px' }),
  defaults: () => ({ lr: 1e-2, schedule: 'cosine' }),
};

function configure(config: JsonObject): GraphConfig {
  const text = (key: string) => {
    const value = config[key];
    if (typeof value === 'string' && value !== '') return value;
    throw new ConfigError(`config.json has no ${key}, which a model of the type 'onnx' needs.`);
  };
  const layout = text('layout');
  if (layout !== 'features' && layout !== 'tokens' && layout !== 'map')
    throw new ConfigError(`config.json has layout = "${layout}"; features, tokens or map is needed there.`);
  return {
    input: text('input'),
    output: text('output'),
    layout,
    width: readNumber(config, 'width', 0),
    side: readNumber(config, 'image_size', 224),
    batch: typeof config.batch === 'number' ? config.batch : null,
  };
}
