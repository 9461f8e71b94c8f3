import { expect, test } from 'vitest';
import { input, parameter } from '../graph/leaves.ts';
import { accuracyHits, crossEntropy } from '../ops/classify.ts';
import { dropout } from '../ops/dropout.ts';
import { add, copy, gelu } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { reduceSum } from '../ops/reduce.ts';
import { State } from '../state.ts';
import { close, noise } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { adamw, hyperVector, type Optimiser } from './optimiser.ts';
import { compileTrainStep } from './step.ts';

const [BATCH, IN, HIDDEN, CLASSES, STEPS] = [10, 6, 8, 3, 3];
/** No class: a row that only fills the last part. */
const NOBODY = 2 ** 32 - 1;

/** Trains some steps with the batch in so many parts; dropout draws for each sample. */
async function train(of: number, optimiser: Optimiser, dropped: number) {
  const rows = Math.ceil(BATCH / of);
  const leaf = (name: string, shape: number[]) => parameter(name, shape, { trainable: true });
  const [a, b] = [leaf('a', [HIDDEN, IN]), leaf('b', [CLASSES, HIDDEN])];
  const seed = input('random', [of > 1 ? 3 : 2], { dtype: 'u32' });
  const hidden = dropout(gelu(linear(input('x', [rows, IN]), a)), dropped, seed, 4);
  const logits = add(linear(hidden, b), dropout(linear(hidden, b), dropped, seed, 5));
  const labels = input('labels', [rows], { dtype: 'u32' });
  const loss = reduceSum(crossEntropy(logits, labels, { weights: input('weights', [rows]) }));
  const state = new State(
    await testGpu(),
    [a, b].map((type, i) => ({ name: 'ab'[i], type })),
  );
  state.setTrainable('a', noise(HIDDEN * IN, 1));
  state.setTrainable('b', noise(CLASSES * HIDDEN, 2));
  const program = await compileTrainStep(state, {
    label: 'parts',
    loss,
    outputs: { hits: copy(accuracyHits(logits, labels)) },
    optimiser,
    inParts: of > 1,
  });
  const x = noise(rows * of * IN, 3);
  const figures: number[][] = [];
  for (let step = 1; step <= STEPS; step++) {
    for (let index = 0; index < of; index++) {
      const mine = Array.from({ length: rows }, (_, i) => index * rows + i);
      program.write('x', x.subarray(index * rows * IN, (index + 1) * rows * IN));
      program.write(
        'labels',
        Uint32Array.from(mine, (i) => (i < BATCH ? i % CLASSES : NOBODY)),
      );
      program.write('weights', new Float32Array(rows).fill(1 / BATCH));
      program.write('random', Uint32Array.of(9, step, ...(of > 1 ? [index] : [])));
      const hyper = { lr: 0.05, weightDecay: 0.1, clip: 0.5, lossScale: 1, step, part: { index, of } };
      program.write('hyper', hyperVector(hyper, optimiser));
      program.run();
    }
    const { loss: l, hits, control } = await program.collect(['loss', 'hits', 'control']);
    figures.push([l[0], hits.reduce((n, v) => n + v, 0), control[0]]);
  }
  const values = await state.readTrainables();
  program.destroy();
  state.destroy();
  return { values, figures };
}

test.each<[string, Optimiser, number]>([
  ['AdamW', adamw, 0],
  ['AdamW with dropout', adamw, 0.3],
  ['momentum', { kind: 'sgd', momentum: 0.9 }, 0],
])('%s: a batch in parts moves as the whole batch does', async (_, optimiser, dropped) => {
  const whole = await train(1, optimiser, dropped);
  for (const of of [2, 3]) {
    // Ten samples in three parts leave two rows over, whose masks are nobody's.
    const parts = await train(of, optimiser, dropped);
    parts.figures.forEach((f, i) => {
      close(f, whole.figures[i], 1e-5, `loss, hits and norm of step ${i + 1} in ${of} parts`);
    });
    for (const [name, v] of whole.values) close(parts.values.get(name)!, v, 2e-5, `${name} in ${of} parts`);
  }
  expect(whole.figures[2][0]).not.toBe(whole.figures[0][0]);
});
