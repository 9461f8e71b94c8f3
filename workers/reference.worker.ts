import { expose, transfer } from 'comlink';
import runtimeUrl from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import { keepErrorFields } from './errors.ts';
import { OnnxError, type ReferenceWorker } from './reference.ts';
import { fitProbe, neighbourHits } from './session/probe.ts';

/**
 * ONNX Runtime beside the studio's own engine: to compare with it, and in its place where there is no WebGPU. Its
 * files come from the page's own origin; it uses threads where the page is isolated.
 */

type Ort = typeof import('onnxruntime-web/wasm');

let runtime: Promise<Ort> | undefined;
let loaded: { id: string; session: InferenceSession } | undefined;

async function start(): Promise<Ort> {
  const ort = await import('onnxruntime-web/wasm');
  // Addresses may be relative to this script; the runtime resolves them against itself.
  const absolute = (url: string) => new URL(url, self.location.href).href;
  ort.env.wasm.wasmPaths = { mjs: absolute(runtimeUrl), wasm: absolute(wasmUrl) };
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  return ort;
}

async function bytesOf(url: string): Promise<Uint8Array> {
  const answer = await fetch(url);
  if (!answer.ok) throw new OnnxError(`${url} could not be fetched (${answer.status}).`);
  return new Uint8Array(await answer.arrayBuffer());
}

const api: ReferenceWorker = {
  async load({ id, graphUrl, weightsUrl }) {
    if (loaded?.id === id) return;
    runtime ??= start();
    const { InferenceSession } = await runtime;
    const [graph, data] = await Promise.all([bytesOf(graphUrl), bytesOf(weightsUrl)]);
    await loaded?.session.release();
    loaded = undefined;
    try {
      const session = await InferenceSession.create(graph, {
        executionProviders: ['wasm'],
        externalData: [{ path: 'model.safetensors', data }],
      });
      loaded = { id, session };
    } catch (error) {
      throw new OnnxError(`ONNX Runtime cannot load the backbone: ${(error as Error).message}`);
    }
  },

  async features(pixels, count, side) {
    if (!runtime || !loaded) throw new OnnxError('No backbone is loaded into ONNX Runtime.');
    const { Tensor } = await runtime;
    const input: Tensor = new Tensor('float32', pixels, [count, 3, side, side]);
    const { features } = await loaded.session.run({ pixel_values: input }, ['features']);
    const values = Float32Array.from(features.data as Float32Array);
    features.dispose();
    return transfer(values, [values.buffer]);
  },

  fitProbe: async (train, val, classes) => fitProbe(train, val, classes),
  neighbourHits: async (train, test, classes, k) => neighbourHits(train, test, classes, k),
};

keepErrorFields();
expose(api);
