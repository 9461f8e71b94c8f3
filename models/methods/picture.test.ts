import { expect, test } from 'vitest';
import { cardOf, methodById, methods } from './index.ts';
import { exampleModel, pictureOf } from './picture.ts';

test.each(methods.map((m) => [m.card.id, m] as const))('%s: a picture of what it declares', (id, method) => {
  const { at, terms } = cardOf(method).picture!;
  expect(at.length).toBeGreaterThan(0);
  const tensors = terms.filter((t) => t.kind === 'tensor');
  // Every tensor that the formula names was found among those declared.
  expect(terms.filter((t) => t.kind === 'sign' && /[:_@]/.test(t.text))).toEqual([]);
  if (id === 'linear-probe') return;
  expect(tensors.some((t) => t.state === 'learns')).toBe(true);
  for (const t of tensors) expect(t.rows * t.columns).toBeGreaterThan(0);
});

test('places come of the hooks, sizes of the settings', () => {
  const at = (id: string) => cardOf(methodById(id)).picture!.at;
  expect(at('lora')).toEqual(['attention weights']);
  expect(at('adaptformer')).toEqual(['mlp']);
  expect(at('prompt-tuning')).toEqual(['tokens']);
  expect(at('prefix-tuning')).toEqual(['attention']);
  expect(at('ln-tuning')).toEqual(['norms']);
  expect(at('linear-probe')).toEqual(['head']);
  const lora = methodById('lora');
  const settings = {
    r: 3,
    lora_alpha: 3,
    scale: 1,
    lora_dropout: 0,
    use_rslora: false,
    target_modules: ['fc1'],
  };
  const { terms, path } = pictureOf(lora, lora.attach(exampleModel, settings), exampleModel);
  expect(path).toBe('layers.0.mlp.fc1');
  expect(terms.map((t) => (t.kind === 'tensor' ? [t.label, t.rows, t.columns, t.state] : t))).toEqual([
    ['W', 128, 64, 'frozen'],
    { kind: 'sign', text: '+' },
    ['B', 128, 3, 'learns'],
    { kind: 'sign', text: '·' },
    ['A', 3, 64, 'learns'],
  ]);
});
