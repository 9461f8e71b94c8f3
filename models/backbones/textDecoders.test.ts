import { test } from 'vitest';
import { holdsToReference } from './textParity.ts';

test.each(['gpt2-tiny', 'gpt2-odd-tiny', 'llama-tiny', 'llama-odd-tiny', 'qwen2-tiny', 'mistral-tiny'])(
  '%s scores classes and words as transformers, and a LoRA learns in it as in PEFT',
  holdsToReference,
);
