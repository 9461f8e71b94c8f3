import type { OnnxGraph, OnnxRuntime, OnnxTensor } from './session/ports.ts';
import type { LabelledFeatures, Probe } from './session/probe.ts';

/** What the reference worker does: the contract between `referenceClient.ts` and `reference.worker.ts`. */
export interface ReferenceWorker {
  /** Loads a backbone's graph over its weights, unless it is the one loaded. Throws `ReferenceError`. */
  load(model: ReferenceModel): Promise<void>;
  /** Features of a batch under the loaded graph, its inputs under the graph's own names: f32 [batch, width], row by row. */
  features(inputs: Readonly<Record<string, OnnxTensor>>): Promise<Float32Array>;
  /** Loads any graph, beside others; `id` names it from then on. Throws `OnnxError`. */
  open(graph: OnnxGraph): Promise<{ id: number; by: string }>;
  run(id: number, inputs: Readonly<Record<string, OnnxTensor>>): Promise<Record<string, Float32Array>>;
  close(id: number): Promise<void>;
  /** The tuned linear probe, away from the engine, which it would keep from answering for seconds. */
  fitProbe(train: LabelledFeatures, val: LabelledFeatures, classes: number): Promise<Probe>;
  /** How many of `test` their k nearest neighbours in `train` classify rightly. */
  neighbourHits(train: LabelledFeatures, test: LabelledFeatures, classes: number, k: number): Promise<number>;
}

/** An ONNX graph whose initialisers point into the backbone's `model.safetensors`. */
export interface ReferenceModel {
  readonly id: string;
  readonly graphUrl: string;
  readonly weightsUrl: string;
}

/** The worker's ONNX Runtime as the port of sessions. Graphs and pictures given to it are moved there. */
export function onnxOf(reference: ReferenceWorker): OnnxRuntime {
  return {
    async open(graph) {
      const { id, by } = await reference.open(graph);
      return { by, run: (inputs) => reference.run(id, inputs), close: () => reference.close(id) };
    },
  };
}

/** ONNX Runtime could not be started, or not run a graph. */
export class OnnxError extends Error {
  override name = 'OnnxError';
  readonly advice = 'Reload the page and try again. The studio works without this check.';
}
