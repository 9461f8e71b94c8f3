import type { SampleInput } from '../../models/backbones/backbone.ts';
import type { OnnxTensor, SampleValues } from './ports.ts';

/** A batch of samples as tensors [batch, …] by name; rows behind the samples stay zero. */
export function stacked(
  inputs: readonly SampleInput[],
  samples: readonly SampleValues[],
  batch = samples.length,
): Record<string, OnnxTensor> {
  return Object.fromEntries(
    inputs.map(({ name, shape, dtype }) => {
      const row = shape.reduce((a, b) => a * b, 1);
      const data = dtype === 'u32' ? new Uint32Array(batch * row) : new Float32Array(batch * row);
      for (const [i, sample] of samples.entries()) data.set(sample[name], i * row);
      return [name, { data, shape: [batch, ...shape] }];
    }),
  );
}
