import { expect, test } from 'vitest';
import { batchOf, modelFlops, specOf, weightsOf } from './model.ts';

test('weights, labels and operations are those that the peers state', () => {
  const [vit, bert] = [specOf('vit'), specOf('bert')];
  const first = (s: typeof vit) =>
    [...weightsOf(s).frozen.get('0.q.weight')!.data.slice(0, 3)].map((v) => v.toFixed(6));
  expect(first(vit)).toEqual(['0.015725', '-0.036360', '-0.025481']);
  expect(first(bert)).toEqual(['0.011119', '-0.025711', '-0.018018']);
  expect([...batchOf(vit).labels]).toEqual([2, 8, 5, 6]);
  expect([...batchOf(bert).labels]).toEqual([0, 1, 1, 1]);
  const giga = (s: typeof vit) => {
    const { forward, step } = modelFlops(s);
    return [forward, step].map((n) => Number((n / 1e9).toPrecision(4)));
  };
  expect(giga(vit)).toEqual([3.536, 7.117]);
  expect(giga(bert)).toEqual([3.85, 7.418]);
  expect(giga(specOf('vit', 'full'))).toEqual([20.29, 42.73]);
  expect(giga(specOf('bert', 'full'))).toEqual([23.1, 46.54]);
});
