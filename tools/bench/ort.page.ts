// The counters wrap WebGPU before anything uses it.
import './counters.ts';
import { frozenCut, narrowRows } from '../../gpu-shaders/index.ts';
import { writeOnnx } from '../../models/onnx/index.ts';
import { traceEncoder } from './encoder.ts';
import { turned } from './engine.ts';
import { type Measured, run } from './measure.ts';
import { batchOf, normal, type Spec, weightsOf } from './model.ts';
import { type OrtDevice, openOrt } from './ort.ts';

/** What ONNX Runtime runs: the default backbone's forward pass, or the frozen prefix of an encoder's batch. */
export type OrtArguments = { device: OrtDevice; rounds: number } & (
  | { what: 'lite'; batch: number; side: number }
  | { what: 'prefix'; spec: Spec }
);

async function bench(args: OrtArguments): Promise<Measured> {
  let forward: (() => Promise<Float32Array>) | undefined;
  let values: Float32Array | undefined;
  const measured = await run(
    {
      async forward() {
        forward ??= await (args.what === 'lite' ? liteForward(args) : prefixForward(args));
        values = await forward();
      },
    },
    0,
    args.rounds,
  );
  return { ...measured, values: [...values!.slice(0, 256)] };
}

async function liteForward({ device, batch, side }: Extract<OrtArguments, { what: 'lite' }>) {
  const file = async (name: string) =>
    new Uint8Array(await (await fetch(`/weights/efficientnet-lite0/${name}`)).arrayBuffer());
  const [graph, data] = await Promise.all([file('model.onnx'), file('model.safetensors')]);
  const runGraph = await openOrt(device, graph, { externalData: [{ path: 'model.safetensors', data }] });
  const shape = [batch, 3, side, side];
  const pixel_values = { data: normal(batch * 3 * side * side, 1, 77), shape };
  return async () => (await runGraph({ pixel_values })).at(-1)!;
}

/** The prefix as our own writer puts it into ONNX. */
async function prefixForward({ device, spec }: Extract<OrtArguments, { what: 'prefix' }>) {
  const { frozen } = weightsOf(spec);
  const trace = (batch: number) => {
    const { loss, logits } = traceEncoder({ ...spec, batch });
    const cut = frozenCut(narrowRows([loss, logits]));
    return {
      outputs: Object.fromEntries(cut.map((t, i) => [`cut${i}`, t])),
      read: async (name: string) => turned(frozen.get(name)!),
      weights: 'embedded' as const,
      name: 'prefix',
      version: '0',
    };
  };
  const { graph } = await writeOnnx(trace, spec.batch);
  const runGraph = await openOrt(device, graph);
  const { x, shape } = batchOf(spec);
  return async () => (await runGraph({ x: { data: x, shape } }))[0];
}

Object.assign(globalThis, { bench });
