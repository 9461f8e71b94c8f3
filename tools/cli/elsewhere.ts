import { readFile } from 'node:fs/promises';
import type { Scripts } from '../../workers/session/elsewhere.ts';

const names = ['train.py', 'train_ray.py', 'requirements.txt'] as const;

/** The scripts of a run elsewhere, as the page ships them. */
export async function elsewhereScripts(): Promise<Scripts> {
  const texts = await Promise.all(
    names.map(async (name) => {
      const path = new URL(`../../models/exports/elsewhere/${name}`, import.meta.url);
      return [name, await readFile(path, 'utf8')] as const;
    }),
  );
  return Object.fromEntries(texts) as Record<(typeof names)[number], string>;
}
