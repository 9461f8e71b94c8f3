import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from './studio.ts';
import { User } from './user.ts';

const ships = ['Rachel', 'Delight', 'Bachelor'];

test('a decoder learns to answer from a file of conversations, and writes with and without its adapter', async ({
  open,
}) => {
  test.setTimeout(600_000);
  const lines = Array.from({ length: 30 }, (_, i) =>
    JSON.stringify({ prompt: `What ship is number ${i % 3}?`, completion: `The ${ships[i % 3]}.` }),
  );
  const file = join(mkdtempSync(join(tmpdir(), 'graft-ships-')), 'ships.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const user = new User(await open());
  const { page } = user;
  await user.drop(file);
  await expect(page.getByTestId('learn')).toHaveValue('causal-lm');
  await expect(page.getByTestId('column-answer')).toHaveValue('completion');
  await user.go('backbone');
  await expect(page.getByTestId('backbone-graft-llama')).toBeChecked();
  await expect(page.getByTestId('backbone-minilm-l6')).toBeDisabled();
  await user.turnAll({ batch_size: 8, epochs: 4, lr: 0.005 });
  await user.train();
  await expect(user.state).toHaveAttribute('data-state', 'done', { timeout: 540_000 });
  await page.getByTestId('see-result').click();
  const perplexity = async (id: string) => Number(await page.getByTestId(id).innerText());
  await expect(page.getByTestId('perplexity')).toBeVisible();
  expect(await perplexity('perplexity')).toBeLessThan(await perplexity('perplexity-before'));
  await page.getByTestId('write-prompt').fill('What ship is number 1?');
  await page.getByTestId('write-chat').click();
  await page.getByTestId('write-submit').click();
  await expect(page.getByTestId('written-without')).not.toHaveText('…', { timeout: 60_000 });
  await expect(page.getByTestId('write-submit')).toBeVisible({ timeout: 60_000 });
  await expect(page.getByTestId('written-with')).toHaveText(/\w/);
});
