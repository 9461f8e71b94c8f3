import { expect, test } from 'vitest';
import { gradients } from '../graph/gradient.ts';
import { constant, parameter } from '../graph/leaves.ts';
import { type DType, sizeOf, type Tensor } from '../graph/tensor.ts';
import { copy, gelu, mul } from '../ops/elementwise.ts';
import { gatherRows } from '../ops/gather.ts';
import { linear } from '../ops/linear.ts';
import { reduceSum } from '../ops/reduce.ts';
import { State } from '../state.ts';
import { close, noise } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { compile } from './build.ts';
import { BindingError } from './plan.ts';
import { schedule } from './schedule.ts';
import { PLAIN } from './target.ts';

const [ROWS, OUT, IN] = [3, 150, 12];

/** Value and gradient of a product with a frozen matrix, when a kernel may bind so many bytes. */
async function step(dtype: DType, data: Float32Array | Uint16Array, limit?: number) {
  const x = parameter('x', [ROWS, IN], { trainable: true });
  const state = new State(await testGpu(), [{ name: 'x', type: x }]);
  state.setTrainable('x', noise(ROWS * IN, 1));
  state.setFrozen('w', data);
  const y = linear(x, parameter('w', [OUT, IN], { dtype }));
  const loss = reduceSum(mul(gelu(y), constant(noise(ROWS * OUT, 5), [ROWS, OUT])));
  const [dx] = gradients(loss, [x]);
  const program = await compile(state, {
    label: 'bands',
    outputs: { y: copy(y) },
    gradients: new Map([['x', copy(dx)]]),
    limit,
  });
  program.run();
  const { y: value } = await program.collect(['y']);
  const result = { value, dx: (await state.readTrainables('gradients')).get('x')!, report: program.report };
  program.destroy();
  state.destroy();
  return result;
}

test.each([
  ['f32', noise(OUT * IN, 2), 3072],
  ['f16', Uint16Array.from(noise(OUT * IN, 2), (v) => 0x3000 + Math.round(400 * Math.abs(v))), 2048],
] as const)('a %s matrix beyond the binding limit is taken in bands', async (dtype, data, limit) => {
  const whole = await step(dtype, data);
  const banded = await step(dtype, data, limit);
  const products = ({ report }: typeof whole) =>
    report.dispatches.filter((d) => /^matmul/.test(d.label)).length;
  expect([products(whole), products(banded)]).toEqual([2, 6]);
  close(banded.value, whole.value, 1e-6, 'value');
  close(banded.dx, whole.dx, 1e-5, 'gradient');
});

test('a table beyond the binding limit is looked up in bands', async () => {
  const [rows, width] = [70, 6];
  const data = noise(rows * width, 3);
  const ids = Uint32Array.of(0, 69, 41, 42, 43, 7, 99, 41);
  const state = new State(await testGpu(), []);
  state.setFrozen('table', data);
  const found = gatherRows(parameter('table', [rows, width]), constant(ids, [2, 4]));
  const program = await compile(state, { label: 'bands', outputs: { y: copy(found) }, limit: 768 });
  program.run();
  const { y } = await program.collect(['y']);
  for (const { bytes } of program.report.dispatches) expect(bytes).toBeLessThan(3 * 768);
  expect([...y]).toEqual(
    [...ids].flatMap((id) => Array.from({ length: width }, (_, j) => data[id * width + j] ?? 0)),
  );
  program.destroy();
  state.destroy();
});

const scheduled = (y: Tensor) => schedule({ outputs: { y }, limit: 1024, target: PLAIN });

test('what cannot be split is refused by its name, with what to do', () => {
  const x = parameter('x', [2, 8], { trainable: true });
  const packed = parameter('lm_head.weight', [512, 8], { dtype: 'int8' });
  expect(() => scheduled(linear(x, packed))).toThrow(BindingError);
  expect(() => scheduled(linear(x, packed))).toThrow(/'lm_head.weight'.*smaller form/);
  expect(sizeOf(packed.shape)).toBeGreaterThan(1024);
});
