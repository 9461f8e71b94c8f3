import { onnxNames } from '../../models/onnx/index.ts';
import { onnxOf, type ReferenceWorker } from '../reference.ts';
import { stacked } from '../session/batch.ts';
import type { SampleValues } from '../session/ports.ts';
import { openBackboneOnnx } from '../session/prefix.ts';
import type { OpenBackbone } from './backbones.ts';

/** A frozen backbone in ONNX Runtime. */
export interface BackboneRunner {
  /** Features of samples, f32 [samples, width]. */
  features(samples: readonly SampleValues[]): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens the graph that the backbone's own library gave, where the page has one: it shares nothing with our engine. Else
 * the graph that we write, which leaves the arithmetic to ONNX Runtime and the reading of the files to us. Throws
 * `OnnxError` or `OnnxExportError`.
 */
export async function runnerOf(
  { model, reference: graph }: OpenBackbone,
  reference: ReferenceWorker,
  size: number,
): Promise<BackboneRunner> {
  const inputs = model.sampleInputs(size);
  if (graph) {
    await reference.load(graph);
    return {
      features: (samples) => {
        const batch = stacked(inputs, samples);
        return reference.features(
          Object.fromEntries(
            inputs.map(({ name }) => [onnxNames[name as keyof typeof onnxNames], batch[name]]),
          ),
        );
      },
      close: async () => undefined,
    };
  }
  const session = await openBackboneOnnx(model, size, onnxOf(reference));
  return {
    features: async (samples) => (await session.run(stacked(inputs, samples)))['features'],
    close: () => session.close(),
  };
}
