import { beforeAll, expect, test } from 'vitest';
import { attention, constant, input, matmul, mul, softmax, transpose } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { evaluate, modelIn } from '../backbones/testing.ts';
import type { Model } from '../model.ts';
import { attachmentScopes } from '../tasks/index.ts';
import type { Attachment } from './method.ts';
import { prefixTuning } from './prefixTuning.ts';
import { promptTuning } from './promptTuning.ts';
import { bareModel } from './testing.ts';

let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});
const intercepted = (attachment: Attachment) =>
  attachment.intercept(attachmentScopes(attachment, false, input('labels', [2], { dtype: 'u32' }))(0));

test.each([
  ['behind the class token of every picture, which stays the first', 1],
  ['before the words of every text', 0],
])('learnt tokens stand %s', async (_, ahead) => {
  const attachment = promptTuning.attach(model, { num_virtual_tokens: 2 });
  const learnt = noise(64, 5);
  const x = noise(2 * 3 * 32, 6);
  const answer = intercepted(attachment).tokens!(constant(x, [2, 3, 32]), ahead)!;
  const { y } = await evaluate(model, { y: answer }, {}, new Map([['prompt_embeddings', learnt]]));
  const sample = (i: number) => [
    ...x.subarray(i * 96, i * 96 + 32 * ahead),
    ...learnt,
    ...x.subarray(i * 96 + 32 * ahead, i * 96 + 96),
  ];
  expect([...y]).toEqual([...sample(0), ...sample(1)]);
});

test('a prefix mixes what it holds into an attention by its share of the softmax', async () => {
  const attachment = prefixTuning.attach(model, { num_virtual_tokens: 4, last_blocks: 1 });
  const [{ name, shape }] = attachment.parameters;
  expect(shape).toEqual([4, 2 * 32]);
  const held = noise(4 * 64, 7);
  const [q, k, v] = [8, 9, 10].map((seed) => constant(noise(2 * 3 * 32, seed), [2, 3, 32]));
  const options = { heads: 1 };
  const path = attachment.targets[0];
  const own = intercepted(attachment).attention!({
    path,
    q,
    k,
    v,
    options,
    frozen: (q2 = q, k2 = k, v2 = v) => attention(q2, k2, v2, options),
  })!;
  const half = (from: number) =>
    constant(
      Float32Array.from(
        { length: 2 * 4 * 32 },
        (_, i) => held[(Math.floor(i / 32) % 4) * 64 + from + (i % 32)],
      ),
      [2, 4, 32],
    );
  const scores = (keys: typeof k) => mul(matmul(q, transpose(keys, [0, 2, 1])), 1 / Math.sqrt(32));
  const { y, a, p, s, t } = await evaluate(
    model,
    {
      y: own,
      a: attention(q, k, v, options),
      p: matmul(softmax(scores(half(0))), half(32)),
      s: scores(k),
      t: scores(half(0)),
    },
    {},
    new Map([[name, held]]),
  );
  // He et al., 2022, eq. 5: (1 - λ) of the plain attention and λ of the prefix's, λ its share of the exponentials.
  const mass = (all: Float32Array, row: number, n: number) =>
    all.subarray(row * n, (row + 1) * n).reduce((sum, x) => sum + Math.exp(x), 0);
  const expected = y.map((_, i) => {
    const row = Math.floor(i / 32);
    const [ours, theirs] = [mass(t, row, 4), mass(s, row, 3)];
    const share = ours / (ours + theirs);
    return (1 - share) * a[i] + share * p[i];
  });
  close(y, expected, 1e-5);
});

test('a backbone that reads no tokens is refused', () => {
  expect(() => promptTuning.attach(bareModel, { num_virtual_tokens: 2 })).toThrow('Choose a transformer');
  expect(() => prefixTuning.attach(bareModel, { num_virtual_tokens: 2, last_blocks: 0 })).toThrow(
    'Choose a transformer',
  );
});
