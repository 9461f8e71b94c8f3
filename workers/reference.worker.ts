import { expose, transfer } from 'comlink';
import runtimeUrl from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import { keepErrorFields } from './errors.ts';
import { onnxRuntime } from './onnxRuntime.ts';
import { OnnxError, type ReferenceWorker } from './reference.ts';
import type { OnnxRuntime, OnnxSession } from './session/ports.ts';
import { fitProbe, neighbourHits } from './session/probe.ts';

/**
 * ONNX Runtime beside the studio's own engine: to compare with it, and in its place where there is no GPU or where it
 * is faster. Its files come from the page's own origin; it uses threads where the page is isolated.
 */

let runtime: Promise<OnnxRuntime> | undefined;
let loaded: { id: string; session: OnnxSession } | undefined;
const opened = new Map<number, OnnxSession>();
let count = 0;

/** Starts the runtime when it is first asked for; a failed start may be tried again. */
function started(): Promise<OnnxRuntime> {
  runtime ??= start().catch((error: Error) => {
    runtime = undefined;
    throw new OnnxError(`ONNX Runtime could not be started: ${error.message}`);
  });
  return runtime;
}

async function start(): Promise<OnnxRuntime> {
  const ort = await import('onnxruntime-web/wasm');
  // Addresses may be relative to this script; the runtime resolves them against itself.
  const absolute = (url: string) => new URL(url, self.location.href).href;
  ort.env.wasm.wasmPaths = { mjs: absolute(runtimeUrl), wasm: absolute(wasmUrl) };
  const threads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.numThreads = threads;
  // It warns of every constant that it folds.
  ort.env.logLevel = 'error';
  return onnxRuntime(ort, threads);
}

async function bytesOf(url: string): Promise<Uint8Array> {
  const answer = await fetch(url);
  if (!answer.ok) throw new OnnxError(`${url} could not be fetched (${answer.status}).`);
  return new Uint8Array(await answer.arrayBuffer());
}

const api: ReferenceWorker = {
  async load({ id, graphUrl, weightsUrl }) {
    if (loaded?.id === id) return;
    const { open } = await started();
    const [graph, data] = await Promise.all([bytesOf(graphUrl), bytesOf(weightsUrl)]);
    await loaded?.session.close();
    loaded = undefined;
    loaded = { id, session: await open({ graph, weights: { name: 'model.safetensors', data } }) };
  },

  async features(inputs) {
    if (!loaded) throw new OnnxError('No backbone is loaded into ONNX Runtime.');
    const { features } = await loaded.session.run(inputs);
    return transfer(features, [features.buffer]);
  },

  async open(graph) {
    const session = await (await started()).open(graph);
    const id = ++count;
    opened.set(id, session);
    return { id, by: session.by };
  },

  async run(id, inputs) {
    const session = opened.get(id);
    if (!session) throw new OnnxError('That graph is not loaded into ONNX Runtime any more.');
    const values = await session.run(inputs);
    return transfer(
      values,
      Object.values(values).map((v) => v.buffer as ArrayBuffer),
    );
  },

  async close(id) {
    await opened.get(id)?.close();
    opened.delete(id);
  },

  fitProbe: async (train, val, classes) => fitProbe(train, val, classes),
  neighbourHits: async (train, test, classes, k) => neighbourHits(train, test, classes, k),
};

keepErrorFields();
expose(api);
