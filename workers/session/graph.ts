import { type GraphConfig, graph, graphTensor } from '../../models/backbones/graph.ts';
import type { Model } from '../../models/model.ts';
import type { OnnxRuntime, OnnxSession, OnnxTensor } from './ports.ts';

/** Whether a model is an ONNX graph that runs as it is. */
export const isGraph = (model: Model): model is Model<GraphConfig> => (model.backbone as unknown) === graph;

/**
 * A dropped graph in ONNX Runtime as a session that takes `pixels` f32 [batch, 3, side, side] and gives `features` f32
 * [batch, width]: the graph's own output, or its mean over tokens or places.
 */
export async function openGraph(model: Model<GraphConfig>, onnx: OnnxRuntime): Promise<OnnxSession> {
  const { config, checkpoint } = model;
  const session = await onnx.open({ graph: await checkpoint.bytes(graphTensor), weights: null });
  return {
    by: session.by,
    run: async (given) => {
      const { data, shape } = given.pixels as OnnxTensor;
      const [count, ...sample] = shape;
      const size = data.length / count;
      const features = new Float32Array(count * config.width);
      const step = config.batch ?? count;
      for (let from = 0; from < count; from += step) {
        // A graph of a fixed batch takes no fewer either; the pictures that fill it up are not read.
        const part = new Float32Array(step * size);
        const own = Math.min(step, count - from);
        part.set(data.subarray(from * size, (from + own) * size) as Float32Array);
        const values = (await session.run({ [config.input]: { data: part, shape: [step, ...sample] } }))[
          config.output
        ];
        features.set(pooled(values, step, config).subarray(0, own * config.width), from * config.width);
      }
      return { features };
    },
    close: () => session.close(),
  };
}

function pooled(values: Float32Array, count: number, { layout, width }: GraphConfig): Float32Array {
  if (layout === 'features') return values;
  const places = values.length / count / width;
  const out = new Float32Array(count * width);
  for (let i = 0; i < count; i++)
    for (let p = 0; p < places; p++)
      for (let j = 0; j < width; j++) {
        const at = layout === 'tokens' ? (i * places + p) * width + j : (i * width + j) * places + p;
        out[i * width + j] += values[at] / places;
      }
  return out;
}
