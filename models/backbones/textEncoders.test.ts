import { test } from 'vitest';
import { holdsToReference } from './textParity.ts';

test.each([
  'bert-tiny',
  'bert-odd-tiny',
  'roberta-tiny',
  'xlm-roberta-odd-tiny',
  'distilbert-tiny',
  'distilbert-odd-tiny',
])('%s scores classes and words as transformers, and a LoRA learns in it as in PEFT', holdsToReference);
