import { describe, expect, test } from 'vitest';
import { compile } from '../compile/build.ts';
import { attention } from '../ops/attention.ts';
import { dropout } from '../ops/dropout.ts';
import { add, copy, gelu, mul } from '../ops/elementwise.ts';
import { slice } from '../ops/layout.ts';
import { linear } from '../ops/linear.ts';
import { layerNorm } from '../ops/norm.ts';
import { reduceSum } from '../ops/reduce.ts';
import { reshape } from '../ops/reshape.ts';
import { State } from '../state.ts';
import { close, noise } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { gradients } from './gradient.ts';
import { constant, input, parameter } from './leaves.ts';
import { narrowRows } from './narrow.ts';
import { nodesOf, type Shape, sizeOf, type Tensor } from './tensor.ts';

const [B, T, D] = [2, 5, 8];

/** A leaf of the tests' own values; the same name gives the same leaf. */
function leaves() {
  const made = new Map<string, Tensor>();
  return {
    made,
    of(name: string, shape: Shape): Tensor {
      if (!made.has(name)) made.set(name, parameter(name, shape, { trainable: true }));
      return made.get(name)!;
    },
  };
}

interface Tail {
  causal?: boolean;
  bias?: Shape;
  token: number;
}

/** Pre-norm blocks and a head on one token: the loss, and the leaves it is trained by. */
function network({ causal = false, bias, token }: Tail, blocks = 1) {
  const { made, of } = leaves();
  const dense = (x: Tensor, name: string) => linear(x, of(`${name}.weight`, [D, D]), of(`${name}.bias`, [D]));
  const norm = (x: Tensor, name: string) => layerNorm(x, of(`${name}.g`, [D]), of(`${name}.b`, [D]), 1e-5);
  const mask = bias ? constant(noise(sizeOf(bias), 5), bias) : null;
  let h = of('x', [B, T, D]);
  for (let i = 0; i < blocks; i++) {
    const a = norm(h, `${i}.norm1`);
    const [q, k, v] = ['q', 'k', 'v'].map((n) => dense(a, `${i}.${n}`));
    h = add(h, dense(attention(q, k, v, { heads: 2, causal, bias: mask }), `${i}.o`));
    h = add(h, mul(gelu(dense(norm(h, `${i}.norm2`), `${i}.up`)), 0.5));
  }
  const last = reshape(slice(norm(h, 'norm'), [0, token, 0], [B, 1, D]), [B, D]);
  const head = dense(last, 'head');
  return { loss: reduceSum(mul(head, constant(noise(B * D, 9), [B, D]))), made };
}

async function valueAndGradients(loss: Tensor, made: ReadonlyMap<string, Tensor>) {
  const gpu = await testGpu();
  const names = [...made.keys()];
  const state = new State(
    gpu,
    names.map((name) => ({ name, type: made.get(name)! })),
  );
  names.forEach((name, i) => {
    state.setTrainable(
      name,
      noise(sizeOf(made.get(name)!.shape), i + 1).map((v) => v / 2),
    );
  });
  const grads = gradients(
    loss,
    names.map((n) => made.get(n)!),
  );
  const program = await compile(state, {
    label: 'narrow',
    outputs: { loss: copy(loss) },
    gradients: new Map(names.map((n, i) => [n, copy(grads[i])])),
  });
  program.run();
  const result = {
    loss: (await program.collect(['loss'])).loss,
    gradients: await state.readTrainables('gradients'),
    flops: program.report.flops,
  };
  program.destroy();
  state.destroy();
  return result;
}

describe('rows that nobody reads', () => {
  const cases: Record<string, Tail> = {
    'of a class token': { token: 0 },
    'of the last token of a causal model, with a bias': { token: T - 1, causal: true, bias: [B, 1, T, T] },
  };
  for (const [name, tail] of Object.entries(cases))
    test(`${name} are left out; loss and gradients stay`, async () => {
      const { loss, made } = network(tail);
      const [narrow] = narrowRows([loss]);
      const [before, after] = [await valueAndGradients(loss, made), await valueAndGradients(narrow, made)];
      close(after.loss, before.loss, 1e-6, 'loss');
      for (const [leaf, g] of before.gradients) close(after.gradients.get(leaf)!, g, 1e-5, leaf);
      expect(after.flops).toBeLessThan(0.75 * before.flops);
    });

  test('causal queries before the last keep their place', () => {
    const { loss } = network({ token: 1, causal: true }, 2);
    const widest = (t: Tensor) =>
      nodesOf([t])
        .filter((n) => n.op.name === 'attention')
        .map((n) => n.outputs[0].shape[1]);
    expect(widest(narrowRows([loss])[0])).toEqual([T, T]);
    expect(widest(narrowRows([network({ token: 1 }, 2).loss])[0])).toEqual([T, 1]);
  });

  test('two readers of different rows get the whole; one mask is drawn for all rows', () => {
    const x = parameter('x', [B, T, D]);
    const h = gelu(x);
    const both = narrowRows([slice(h, [0, 0, 0], [B, 1, D]), slice(h, [0, 1, 0], [B, 2, D])]);
    expect(both.map((t) => t.node.inputs[0])).toEqual([h, h]);
    const dropped = dropout(x, 0.5, input('random', [2], { dtype: 'u32' }), 0);
    const [part] = narrowRows([slice(dropped, [0, 3, 0], [B, 1, D])]);
    const masks = nodesOf([part]).filter((n) => n.op.name === 'dropoutMask');
    expect(masks.map((n) => n.outputs[0].shape)).toEqual([[B, T, D]]);
  });

  test('what has no slice comes back as it is', () => {
    const y = gelu(parameter('x', [3]));
    expect(narrowRows([y])).toEqual([y]);
  });
});
