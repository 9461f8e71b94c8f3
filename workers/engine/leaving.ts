import type { Dataset } from '../session/ports.ts';
import type { RunSession } from './trainer.ts';

/** Names of classes without any picture: enough to predict, and to describe an adapter made elsewhere. */
export function classesAlone(classes: readonly string[]): Dataset {
  return { classes, samples: [], hash: 'none', load: async () => [] };
}

export function splitWords(session: RunSession): string {
  const [train, val, test] = (['train', 'val', 'test'] as const).map(
    (split) => session.samplesOf(split).length,
  );
  return `${train} to train on, ${val} for validation, ${test} for the test`;
}

/** A run's name as a file's: letters, digits and dashes. */
export function fileName(name: string): string {
  const plain = name.normalize('NFKD').replace(/[^\p{L}\p{N}]+/gu, '-');
  return (
    plain
      .replace(/^-+|-+$/g, '')
      .slice(0, 60)
      .toLowerCase() || 'adapter'
  );
}
