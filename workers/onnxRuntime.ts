import type { InferenceSession } from 'onnxruntime-web/wasm';
import { OnnxError } from './reference.ts';
import type { OnnxRuntime, OnnxTensor } from './session/ports.ts';

/** The part of ONNX Runtime's module that is used; its builds for the browser and for Node have it alike. */
export type Ort = Pick<typeof import('onnxruntime-web/wasm'), 'InferenceSession' | 'Tensor' | 'env'>;

/** ONNX Runtime's WASM as the port that sessions know. `threads` is told in what is recorded of a run. */
export function onnxRuntime(ort: Ort, threads: number): OnnxRuntime {
  const by = `ONNX Runtime ${ort.env.versions.web ?? ''} WASM, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return {
    async open({ graph, weights }) {
      let session: InferenceSession;
      try {
        session = await ort.InferenceSession.create(graph, {
          executionProviders: ['wasm'],
          externalData: weights ? [{ path: weights.name, data: weights.data }] : [],
        });
      } catch (error) {
        throw new OnnxError(`ONNX Runtime cannot load the backbone: ${(error as Error).message}`);
      }
      return {
        by,
        run: (inputs) => run(ort, session, inputs),
        close: () => session.release(),
      };
    },
  };
}

async function run(ort: Ort, session: InferenceSession, inputs: Readonly<Record<string, OnnxTensor>>) {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape }]) => [
      name,
      data instanceof Float32Array
        ? new ort.Tensor('float32', data, [...shape])
        : new ort.Tensor('int64', BigInt64Array.from(data, BigInt), [...shape]),
    ]),
  );
  const results = await session.run(feeds);
  const values: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(results)) {
    // The runtime's own memory may move or be used anew.
    values[name] = Float32Array.from(tensor.data as Float32Array);
    tensor.dispose();
  }
  return values;
}
