import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { compile } from '../compile/build.ts';
import { gradients } from '../graph/gradient.ts';
import { constant, parameter } from '../graph/leaves.ts';
import type { Tensor } from '../graph/tensor.ts';
import { State } from '../state.ts';
import { close } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { attention } from './attention.ts';
import { crossEntropy } from './classify.ts';
import { conv2d } from './conv2d.ts';
import { add, copy, gelu, mul } from './elementwise.ts';
import { nchwToNhwc, transpose } from './layout.ts';
import { layerNorm, rmsNorm } from './norm.ts';
import { mean, reduceSum } from './reduce.ts';
import { reshape } from './reshape.ts';

/** PyTorch's values and gradients (float64) of single operations; made by tools/reference/ops.py. */
const folder = join(import.meta.dirname, '../../tools/reference/fixtures/ops');
const present = existsSync(join(folder, 'ops.json'));

interface Case {
  name: string;
  op: keyof typeof builders;
  // biome-ignore lint/suspicious/noExplicitAny: each operation's own settings, as Python wrote them
  attrs: any;
  inputs: string[];
  gradients: string[];
}

interface Stored {
  shape: number[];
  data: Float32Array | Int32Array;
}

function readTensors(path: string): Map<string, Stored> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, Stored>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = data_offsets.map((o) => o + 8 + length);
    const part = new Uint8Array(bytes.subarray(from, to)).buffer;
    const data = dtype === 'I64' ? Int32Array.from(new BigInt64Array(part), Number) : new Float32Array(part);
    tensors.set(name, { shape, data });
  }
  return tensors;
}

/** [B, H, T, D] as the linear layers' [B, T, H D]. */
const heads = (x: Tensor) => {
  const [b, h, t, d] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [b, t, h * d]);
};

// biome-ignore lint/suspicious/noExplicitAny: see Case
const builders: Record<string, (xs: Record<string, Tensor>, a: any) => Tensor> = {
  conv2d: ({ x, w, b }, a) => {
    const [py, px] = a.padding;
    const padding = a.padding === 'same' ? 'same' : ([py, py, px, px] as const);
    const y = conv2d(nchwToNhwc(x), w, { ...a, padding });
    return transpose(b ? add(y, b) : y, [0, 3, 1, 2]);
  },
  gelu: ({ x }, a) => gelu(x, a.approximate === 'tanh' ? 'tanh' : 'exact'),
  layer_norm: ({ x, w, b }, a) => layerNorm(x, w, b, a.eps),
  rms_norm: ({ x, w }, a) => rmsNorm(x, w, a.eps),
  attention: ({ q, k, v }, a) => {
    const [b, h, t, d] = q.shape;
    const y = attention(heads(q), heads(k), heads(v), { heads: h, scale: a.scale, causal: a.causal });
    return transpose(reshape(y, [b, t, h, d]), [0, 2, 1, 3]);
  },
  cross_entropy: ({ logits, labels }, a) =>
    mean(crossEntropy(logits, labels, { labelSmoothing: a.label_smoothing })),
};

async function check(c: Case, tensors: ReadonlyMap<string, Stored>): Promise<void> {
  const of = (name: string) => tensors.get(`${c.name}.${name}`)!;
  const state = new State(
    await testGpu(),
    c.gradients.map((name) => ({ name, type: { shape: of(`in.${name}`).shape, dtype: 'f32' } })),
  );
  const xs: Record<string, Tensor> = {};
  for (const name of c.inputs) {
    const { shape, data } = of(`in.${name}`);
    if (!c.gradients.includes(name)) xs[name] = constant(data, shape);
    else {
      xs[name] = parameter(name, shape, { trainable: true });
      state.setTrainable(name, data as Float32Array);
    }
  }
  const y = builders[c.op](xs, c.attrs);
  const upstream = of('upstream');
  const loss = reduceSum(mul(y, constant(upstream.data, upstream.shape)));
  const leaves = c.gradients.map((name) => xs[name]);
  const grads = gradients(loss, leaves);
  const program = await compile(state, {
    label: c.name,
    outputs: { y: copy(y) },
    gradients: new Map(c.gradients.map((name, i) => [name, copy(grads[i])])),
  });
  program.run();
  close((await program.collect(['y'])).y, of('out').data, 1e-4, 'value');
  const found = await state.readTrainables('gradients');
  for (const name of c.gradients)
    close(found.get(name)!, of(`grad.${name}`).data, 1e-4, `gradient of ${name}`);
  program.destroy();
  state.destroy();
}

describe.skipIf(!present)("PyTorch's values and gradients", () => {
  if (!present) return;
  const cases = JSON.parse(readFileSync(join(folder, 'ops.json'), 'utf8')) as Case[];
  const tensors = readTensors(join(folder, 'ops.safetensors'));
  for (const c of cases) test(c.name, () => check(c, tensors));
});
