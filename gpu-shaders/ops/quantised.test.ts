import { beforeAll, describe, expect, test } from 'vitest';
import { compile } from '../compile/build.ts';
import { formsFor, PLAIN, type ProductForm } from '../compile/target.ts';
import { gradients } from '../graph/gradient.ts';
import { constant, parameter } from '../graph/leaves.ts';
import { type DType, type QuantisedDType, type Shape, sizeOf, type Tensor } from '../graph/tensor.ts';
import { dequantise, quantise } from '../quantise.ts';
import { State } from '../state.ts';
import { close, noise } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { conv2d } from './conv2d.ts';
import { add, copy, mul } from './elementwise.ts';
import { gatherRows } from './gather.ts';
import { linear } from './linear.ts';
import { matmul } from './matmul.ts';
import { reduceSum } from './reduce.ts';
import { reshape } from './reshape.ts';

let gpu: Awaited<ReturnType<typeof testGpu>>;
beforeAll(async () => {
  gpu = await testGpu();
});

/** Value and gradient of x under `build` with a frozen weight of a type, and with what that weight stands for. */
async function bothWays(
  dtype: QuantisedDType,
  xShape: Shape,
  wShape: Shape,
  build: (x: Tensor, w: Tensor) => Tensor,
  product: ProductForm = 'lone',
) {
  const type = { shape: wShape, dtype };
  const words = quantise(noise(sizeOf(wShape), 3), type);
  const run = async (stored: DType, data: Uint32Array | Float32Array) => {
    const x = parameter('x', xShape, { trainable: true });
    const state = new State(gpu, [{ name: 'x', type: x }]);
    state.setTrainable('x', noise(sizeOf(xShape), 1));
    state.setFrozen('w', data);
    const y = build(x, parameter('w', wShape, { dtype: stored }));
    const loss = reduceSum(mul(y, constant(noise(sizeOf(y.shape), 9), y.shape)));
    const [dx] = gradients(loss, [x]);
    const program = await compile(state, {
      label: stored,
      outputs: { y: copy(y) },
      gradients: new Map([['x', copy(dx)]]),
      target: { ...PLAIN, product, packed: product === 'tall' },
    });
    program.run();
    const found = {
      y: (await program.collect(['y'])).y,
      dx: (await state.readTrainables('gradients')).get('x')!,
    };
    program.destroy();
    state.destroy();
    return found;
  };
  return [await run(dtype, words), await run('f32', dequantise(words, type))];
}

const agree = ([own, plain]: Awaited<ReturnType<typeof bothWays>>) => {
  close(own.y, plain.y, 1e-5, 'value');
  close(own.dx, plain.dx, 1e-5, 'gradient');
};

describe.each<QuantisedDType>(['int8', 'nf4'])('%s weights give what their values give', (dtype) => {
  // Rows, features in, features out: K is a multiple of 64, of 4, of neither, and less than a group.
  const sizes = [
    [9, 128, 33],
    [17, 36, 20],
    [35, 70, 34],
  ] as const;
  for (const product of ['lone', 'quad', 'tall', 'shared'] as const)
    test.each(sizes)(`%i × %i to %i, ${product} form`, async (m, k, n) => {
      if (product !== 'shared' && !formsFor(gpu.info).includes(product)) return;
      agree(await bothWays(dtype, [m, k], [n, k], (x, w) => linear(x, w), product));
    });

  test.each([
    [3, 7, 5],
    [1, 130, 1],
  ])('%i × %i to %i', async (m, k, n) => {
    agree(await bothWays(dtype, [m, k], [n, k], (x, w) => linear(x, w)));
  });

  test('not transposed, with leading axes and an addition to the weight', async () => {
    agree(await bothWays(dtype, [2, 3, 20], [20, 12], (x, w) => matmul(x, w)));
    agree(await bothWays(dtype, [4, 6, 5], [24, 5], (x, w) => matmul(x, reshape(w, [4, 5, 6]))));
    agree(await bothWays(dtype, [8, 12], [8, 12], (x, w) => linear(x, add(w, mul(x, 0.1)))));
  });

  test('convolutions: 1×1, windows, groups', async () => {
    agree(await bothWays(dtype, [2, 4, 4, 8], [6, 8, 1, 1], (x, w) => conv2d(x, w)));
    agree(
      await bothWays(dtype, [1, 5, 5, 3], [4, 3, 3, 3], (x, w) => conv2d(x, w, { stride: 2, padding: 1 })),
    );
    agree(
      await bothWays(dtype, [1, 5, 5, 8], [8, 1, 3, 3], (x, w) => conv2d(x, w, { groups: 8, padding: 1 })),
    );
  });

  test('rows of a table', async () => {
    const ids = constant(Uint32Array.of(4, 0, 9, 4), [4]);
    agree(await bothWays(dtype, [4, 10], [10, 10], (x, w) => mul(x, gatherRows(w, ids))));
  });
});

test('a quantised leaf takes the bytes of its words in a state', async () => {
  const state = new State(gpu, []);
  const type = { shape: [6, 70], dtype: 'nf4' as const };
  state.setFrozen('w', quantise(noise(420, 1), type));
  expect(state.frozenBytes).toBe(4 * (53 + 7));
  state.destroy();
});
