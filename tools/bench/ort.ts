import type { InferenceSession, Tensor } from 'onnxruntime-web';

export type OrtDevice = 'wasm' | 'webgpu';

type Ort = typeof import('onnxruntime-web');

/** ONNX Runtime's own build for a device, from the benchmark's server; all threads that the page may have. */
export async function openOrt(
  device: OrtDevice,
  graph: Uint8Array,
  options: InferenceSession.SessionOptions = {},
): Promise<
  (feeds: Record<string, { data: Float32Array; shape: readonly number[] }>) => Promise<Float32Array[]>
> {
  const address = `/ort/ort.${device}.min.mjs`;
  const ort = (await import(address)) as Ort;
  ort.env.wasm.wasmPaths = '/ort/';
  ort.env.wasm.numThreads = navigator.hardwareConcurrency;
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(graph, { ...options, executionProviders: [device] });
  return async (feeds) => {
    const tensors: Record<string, Tensor> = {};
    for (const [name, { data, shape }] of Object.entries(feeds))
      tensors[name] = new ort.Tensor('float32', data, [...shape]);
    const outputs = await session.run(tensors);
    return Promise.all(
      session.outputNames.map(async (name) => (await outputs[name].getData()) as Float32Array),
    );
  };
}
