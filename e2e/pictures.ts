import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Forty drawings of 32 × 32 in five classes; ours, so always there. */
export const drawings = join(root, 'tools/reference/fixtures/peft-vit-lora/images');

/** A ViT of two blocks and random weights, in Hugging Face's layout. */
export const tinyVit = join(root, 'tools/reference/fixtures/vit-tiny');

/** Photographs of hands, which the repository may not carry; null where they are not beside it. */
export const signDigits = existsSync(join(root, '../shared/data/sign-digits'))
  ? join(root, '../shared/data/sign-digits')
  : null;

/** Copies the first `count` pictures of each class and split of `folder` to a folder of that name elsewhere. */
export function fewOf(folder: string, name: string, counts: Record<string, number>): string {
  const target = join(freshFolder(), name);
  for (const [split, count] of Object.entries(counts)) {
    for (const label of readdirSync(join(folder, split)).sort()) {
      mkdirSync(join(target, split, label), { recursive: true });
      for (const file of readdirSync(join(folder, split, label))
        .sort()
        .slice(0, count)) {
        cpSync(join(folder, split, label, file), join(target, split, label, file));
      }
    }
  }
  return target;
}

/** Writes files, by path, into a new folder of that name. */
export function folderOf(name: string, files: Record<string, Uint8Array | string>): string {
  const target = join(freshFolder(), name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(target, path, '..'), { recursive: true });
    writeFileSync(join(target, path), content);
  }
  return target;
}

const made: string[] = [];

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'graft-e2e-'));
  made.push(folder);
  return folder;
}

process.on('exit', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});
