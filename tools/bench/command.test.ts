import { expect, test } from 'vitest';
import { CommandError, commandOf } from './command.ts';
import { contestSpec, workloadOf } from './contest.ts';
import { specOf } from './model.ts';

test('without arguments both models run, reduced, beside both peers', () => {
  expect(commandOf([])).toMatchObject({
    models: ['vit', 'bert'],
    peers: ['jax-js', 'tfjs'],
    steps: 5,
    full: false,
    write: false,
  });
});

test('a shape is told by flags, and has a name of its own', () => {
  const command = commandOf(
    '--model vit --blocks 2 --dim 64 --heads 2 --tokens 33 --rank 4 --batch 1'.split(' '),
  );
  expect(contestSpec('vit', command)).toMatchObject({
    depth: 2,
    dim: 64,
    mlp: 256,
    heads: 2,
    tokens: 33,
    rank: 4,
    batch: 1,
  });
  expect(workloadOf('vit', command)).toBe('vit-other');
  expect(workloadOf('bert', commandOf(['--full']))).toBe('bert-full');
  expect(workloadOf('bert', commandOf([]))).toBe('bert');
});

test('other measurements leave the contests out unless they are named', () => {
  expect(commandOf(['--growth']).models).toEqual([]);
  expect(commandOf(['--epochs', '--model', 'lite']).models).toEqual(['lite']);
});

test.each([
  ['--model resnet', 'vit, bert, lite'],
  ['--peers torch', 'jax-js, tfjs'],
  ['--batch 0', 'whole number'],
  ['--steps x', 'whole number'],
  ['vit', 'positional'],
  ['--depth 3', '--depth'],
])('%s: says what is wrong', (line, reason) => {
  expect(() => commandOf(line.split(' '))).toThrow(CommandError);
  expect(() => commandOf(line.split(' '))).toThrow(reason);
});

test('a shape that cannot be is refused', () => {
  expect(() => specOf('vit', 'reduced', { dim: 90 })).toThrow('no multiple');
  expect(() => specOf('vit', 'reduced', { heads: 5 })).toThrow('5 heads');
});
