import { expect, test } from 'vitest';
import { add, gelu, mul } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';
import { constant, input, parameter } from './leaves.ts';
import { shareCommon } from './share.ts';
import { nodesOf } from './tensor.ts';

const layer = () => gelu(matmul(input('x', [4, 3]), parameter('w', [3, 5])));

test('two traces of one computation become one, with what differs left apart', () => {
  const [a, b] = shareCommon([mul(layer(), 2), mul(layer(), 3)]);
  expect(a.node.inputs[0]).toBe(b.node.inputs[0]);
  expect(a).not.toBe(b);
  expect(nodesOf([a, b]).filter((n) => n.op.name === 'matmul')).toHaveLength(1);
});

test('constants are the same only where they are one; attributes count', () => {
  const data = () => constant(Float32Array.of(1, 2), [2]);
  const one = data();
  const [a, b, c] = shareCommon([add(one, 1), add(one, 1), add(data(), 1)]);
  expect(a).toBe(b);
  expect(a).not.toBe(c);
  const [x, y] = [input('x', [2, 2]), input('x', [2, 2])];
  const [p, q] = shareCommon([matmul(x, y), matmul(x, y, { tb: true })]);
  expect(p).not.toBe(q);
  expect(nodesOf([p, q]).filter((n) => n.op.name === 'input')).toHaveLength(1);
});
