import { availableParallelism } from 'node:os';
import { onnxRuntime } from '../../workers/onnxRuntime.ts';
import type { OnnxRuntime } from '../../workers/session/ports.ts';

let started: Promise<OnnxRuntime> | undefined;

/** ONNX Runtime's WASM under Node, with the threads the page would take; started with the first graph. */
export function openOnnx(): OnnxRuntime {
  return {
    async open(graph) {
      started ??= start();
      return (await started).open(graph);
    },
  };
}

async function start(): Promise<OnnxRuntime> {
  const ort = await import('onnxruntime-web');
  const threads = Math.min(4, availableParallelism());
  ort.env.wasm.numThreads = threads;
  // It warns of every constant that it folds.
  ort.env.logLevel = 'error';
  return onnxRuntime(ort, threads);
}
