import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import AxeBuilder from '@axe-core/playwright';
import { drawings, tinyVit } from './pictures.ts';
import { expect, test } from './studio.ts';
import { User } from './user.ts';

test('runs wait in a queue that is put in order, survive a reload, train, and are compared and added', async ({
  open,
}) => {
  test.setTimeout(240_000);
  const user = new User(await open());
  const { page } = user;
  await user.drop(tinyVit);
  await expect(page.getByTestId('understood')).toBeVisible({ timeout: 60_000 });
  await user.drop(drawings);
  await expect(page.getByTestId('dataset-name')).toHaveText('images', { timeout: 60_000 });
  await user.go('backbone');
  await page.getByRole('radio', { name: 'vit-tiny' }).check();
  await user.go('method');
  await user.turnAll({ r: 4, batch_size: 8, epochs: 200 });
  await user.train();
  await expect(user.state).toHaveAttribute('data-state', 'running', { timeout: 60_000 });

  const waiting = page.getByTestId('queue').locator('li');
  const ids = () =>
    waiting.evaluateAll((rows) => rows.map((row) => row.dataset['testid']!.replace('run-', '')));
  await user.turnAll({ r: 8, epochs: 4 });
  await page.getByTestId('train').click();
  await expect(waiting).toHaveCount(1);
  await user.turn('r', 2);
  await page.getByTestId('add-to-queue').focus();
  await page.keyboard.press('Enter');
  await expect(waiting).toHaveCount(2);
  await expect(user.state).toHaveAttribute('data-state', 'running');
  const [eight, two] = (await ids()) as [string, string];
  await expect(waiting.nth(0)).toContainText('Rank 8');

  await page.getByTestId(`up-${two}`).focus();
  await page.keyboard.press('Enter');
  await expect.poll(ids).toEqual([two, eight]);
  const from = (await page.getByTestId(`grip-${two}`).boundingBox())!;
  const to = (await waiting.nth(1).boundingBox())!;
  await page.mouse.move(from.x + 6, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + 6, to.y + to.height - 4, { steps: 4 });
  await page.mouse.up();
  await expect.poll(ids).toEqual([eight, two]);

  await page.reload();
  await expect.poll(ids).toEqual([eight, two]);
  await expect(page.locator('[data-testid^="run-"][data-state="interrupted"]')).toHaveCount(1);
  await page.getByTestId('move-queue').click();
  for (const id of [eight, two])
    await expect(page.getByTestId(`run-${id}`)).toHaveAttribute('data-state', 'done', { timeout: 90_000 });
  await expect(page.getByTestId('queue')).toHaveCount(0);

  await page.getByTestId('compare-open').click();
  const table = page.getByTestId('compare-table');
  await expect(table.locator('tbody tr')).toHaveCount(2);
  const heads = await table.locator('thead th').allInnerTexts();
  expect(heads.slice(0, 3)).toEqual(['Run', 'Rank', 'Test']);
  await page.getByTestId('compare-sort-r').click();
  await expect(table.locator('tbody tr').first()).toHaveAttribute('data-testid', `compare-${two}`);
  const dot = page.getByTestId(`compare-dot-${two}`);
  const curve = page.getByTestId(`compare-curve-${two}`);
  await page.getByTestId(`compare-${two}`).hover();
  for (const part of [dot, curve]) await expect(part).toHaveAttribute('data-lit', 'true');
  await expect(page.getByTestId(`compare-dot-${eight}`)).not.toHaveAttribute('data-lit', 'true');
  await dot.scrollIntoViewIfNeeded();
  await page.getByTestId(`compare-dot-${eight}`).locator('circle').first().hover();
  await expect(page.getByTestId(`compare-${eight}`)).toHaveAttribute('data-lit', 'true');

  const arrives = page.waitForEvent('download');
  await page.getByTestId('compare-save').click();
  await page.getByRole('menuitem', { name: 'Table as CSV' }).click();
  const rows = readFileSync(await (await arrives).path(), 'utf8')
    .trim()
    .split('\r\n')
    .map((line) => line.split(','));
  const figure = (name: string) => rows.slice(1).map((row) => Number(row[rows[0]!.indexOf(name)]));
  expect(figure('Rank')).toEqual([2, 8]);
  for (const name of [
    'trainable parameters',
    'median step time ms',
    'planned peak GPU memory bytes',
    'file size bytes',
  ])
    for (const value of figure(name)) expect(value).toBeGreaterThan(0);
  const [small, large] = figure('trainable parameters');
  expect(small!).toBeLessThan(large!);

  await page.reload();
  await expect(table.locator('tbody tr').first()).toHaveAttribute('data-testid', `compare-${two}`);
  await expect(page.getByTestId('compare-sort-r').locator('..')).toHaveAttribute('aria-sort', 'ascending');

  await page.getByTestId('compare-merge').click();
  const sum = page.getByTestId('merge-table').locator('tbody tr');
  await expect(sum).toHaveCount(2);
  const kept = page.getByTestId(`merge-own-${eight}`);
  await expect(kept).toContainText('%', { timeout: 60_000 });
  const share = async () => Number.parseFloat((await kept.innerText()).replace(',', '.'));
  const even = await share();
  await page.getByTestId(`merge-weight-${eight}`).fill('1');
  await page.getByTestId(`merge-weight-${two}`).fill('0');
  await expect(page.getByTestId('merge-outcome')).toContainText('One LoRA');
  const alone = Number.parseFloat((await sum.nth(0).locator('td').nth(1).innerText()).replace(',', '.'));
  // With the other one's weight at zero nothing is lost.
  await expect.poll(share, { timeout: 30_000 }).toBe(alone);
  console.log(`sum of two adapters: ${even} % at equal shares, ${alone} % alone`);
  await page.getByTestId('merge-rank').fill('3');
  await expect(page.getByTestId('merge')).toContainText('energy kept', { timeout: 30_000 });
  const written = page.waitForEvent('download');
  await page.getByTestId('merge-download-adapter').click();
  const zip = await written;
  const place = join(mkdtempSync(join(tmpdir(), 'graft-merge-')), zip.suggestedFilename());
  await zip.saveAs(place);
  await user.drop(place);
  await expect(page.getByTestId('try-box')).toBeVisible({ timeout: 60_000 });

  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(' ')}`)).toEqual([]);
});
