import { test } from 'vitest';
import { holdsToReference } from './textParity.ts';

test.each(['t5-tiny', 't5-odd-tiny', 'bart-tiny', 'bart-odd-tiny'])(
  '%s scores classes and words as transformers, and a LoRA learns in it as in PEFT',
  holdsToReference,
);
