import { div, matmul, narrowRows, reduceSum, reshape, type Tensor } from '../../gpu-shaders/index.ts';
import type { Inputs } from '../../models/backbones/backbone.ts';
import type { Model } from '../../models/model.ts';
import { weightsFile, writeOnnx } from '../../models/onnx/index.ts';
import { version } from '../../package.json' with { type: 'json' };
import { stacked } from './batch.ts';
import type { OnnxRuntime, SampleValues } from './ports.ts';

/** What stands for a whole sample: what a head would read, or the mean over a text's tokens, padding left out. */
export type Pooling = 'head' | 'mean';

/** One vector a sample out of a frozen backbone. */
export interface Embedder {
  embed(samples: readonly SampleValues[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/** Opens a frozen backbone in ONNX Runtime for samples of that size. */
export async function openEmbedder(
  model: Model,
  size: number,
  onnx: OnnxRuntime,
  pooling: Pooling,
): Promise<Embedder> {
  const source = (batch: number) => {
    const inputs = model.inputs(batch, size);
    const [features] = narrowRows([pooled(model, inputs, pooling)]);
    return {
      outputs: { features },
      read: (name: string) => model.unpacked(name),
      name: 'backbone',
      version,
      weights: 'external' as const,
    };
  };
  const { graph, weights, openBatch } = await writeOnnx(source, 1);
  const session = await onnx.open({ graph, weights: weights && { name: weightsFile, data: weights } });
  const step = openBatch ? 16 : 1;
  return {
    close: () => session.close(),
    async embed(samples) {
      const result: Float32Array[] = [];
      for (let from = 0; from < samples.length; from += step) {
        const part = samples.slice(from, from + step);
        const { features } = await session.run(stacked(model.sampleInputs(size), part));
        const width = features.length / part.length;
        part.forEach((_, i) => {
          result.push(features.slice(i * width, (i + 1) * width));
        });
      }
      return result;
    },
  };
}

function pooled(model: Model, inputs: Inputs, pooling: Pooling): Tensor {
  const traced = model.trace(inputs);
  if (pooling === 'head') return traced.features;
  const [batch, tokens, width] = traced.last.shape;
  const sums = matmul(reshape(inputs.mask, [batch, 1, tokens]), traced.last);
  return div(reshape(sums, [batch, width]), reshape(reduceSum(inputs.mask, [1]), [batch, 1]));
}
