import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Claim, Outcome } from './claim.ts';

const page = fileURLToPath(new URL('../../docs/results.md', import.meta.url));

/** Puts an outcome into docs/results.md, in place of the claim's last one. */
export async function writeResults(claim: Claim, outcome: Outcome, minutes: number): Promise<void> {
  const { method, title, property } = claim;
  const [open, close] = [`<!-- ${method} -->`, `<!-- /${method} -->`];
  const section = [
    open,
    '',
    `## ${title}: \`npm run prove -- ${method} --seeds ${outcome.seeds} --write\``,
    '',
    property,
    '',
    `${outcome.what}. ${outcome.holds ? 'It holds' : '**It does not hold**'}; ${minutes.toFixed(1)} minutes in all.`,
    '',
    ...outcome.table,
    '',
    close,
  ].join('\n');
  const text = await readFile(page, 'utf8');
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  const next =
    from < 0
      ? `${text.trimEnd()}\n\n${section}\n`
      : `${text.slice(0, from)}${section}${text.slice(to + close.length)}`;
  await writeFile(page, next);
}
