import { inputs } from '../../models/tasks/classification.ts';
import { onnxOf, type ReferenceWorker } from '../reference.ts';
import { openBackboneOnnx } from '../session/prefix.ts';
import type { OpenBackbone } from './backbones.ts';

/** A frozen backbone in ONNX Runtime. */
export interface BackboneRunner {
  /** Features of pixels f32 [count, 3, side, side]: f32 [count, width]. The pixels are moved there. */
  features(pixels: Float32Array, count: number): Promise<Float32Array>;
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
  side: number,
): Promise<BackboneRunner> {
  if (graph) {
    await reference.load(graph);
    return {
      features: (pixels, count) => reference.features(pixels, count, side),
      close: async () => undefined,
    };
  }
  const session = await openBackboneOnnx(model, side, onnxOf(reference));
  return {
    features: async (data, count) =>
      (await session.run({ [inputs.pixels]: { data, shape: [count, 3, side, side] } }))['features'],
    close: () => session.close(),
  };
}
