import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('../../docs/results.md', import.meta.url));

/** Replaces what stands between the two marks of a claim in docs/results.md. */
export async function writeResults(claim: string, lines: readonly string[]): Promise<void> {
  const text = await readFile(page, 'utf8');
  const [open, close] = [`<!-- ${claim} -->`, `<!-- /${claim} -->`];
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  if (from < 0 || to < from)
    throw new Error(
      `docs/results.md has no place for '${claim}'. Put ${open} and ${close} where it belongs.`,
    );
  await writeFile(page, `${text.slice(0, from + open.length)}\n\n${lines.join('\n')}\n\n${text.slice(to)}`);
}
