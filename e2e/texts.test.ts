import { fileURLToPath } from 'node:url';
import { expect, test } from './studio.ts';
import { share, User } from './user.ts';

const fixture = (path: string) =>
  fileURLToPath(new URL(`../tools/reference/fixtures/${path}`, import.meta.url));

test('a table of texts and a checkpoint in, adapter out: columns, tokens, training, trying', async ({
  open,
}) => {
  test.setTimeout(600_000);
  const user = new User(await open());
  const { page } = user;
  await user.drop(fixture('peft-bert-lora/texts.csv'));
  await expect(page.getByTestId('dataset-name')).toHaveText('texts', { timeout: 60_000 });
  await expect(page.getByText('40 texts in 3 classes,')).toBeVisible();
  await expect(page.getByTestId('table-rows').locator('tbody tr')).toHaveCount(10);

  // Another label, and back again: a table is read anew each time.
  await page.getByTestId('column-label').selectOption('text');
  await expect(page.getByText('40 texts in 3 classes,')).toBeHidden();
  await page.getByTestId('column-label').selectOption('label');
  await expect(page.getByText('40 texts in 3 classes,')).toBeVisible();

  await user.drop(fixture('bert-words-tiny'));
  await expect(page.getByRole('heading', { name: 'bert-words-tiny' })).toBeVisible({ timeout: 60_000 });
  await expect(page.getByTestId('backbone-efficientnet-lite0')).toBeDisabled();
  await user.go('data');
  await expect(page.getByTestId('tokens')).toContainText('[CLS]');
  await page.screenshot({ path: '.cache/e2e/texts-data.png' });

  await user.go('method');
  await user.turnAll({ batch_size: 8, epochs: 2 });
  await user.train();
  await user.finish(540_000);
  console.log(`texts: with the adapter ${await share(page, 'test-accuracy')}`);
  await page.getByTestId('try-text').fill('Our old dog hides in tall grass, again.');
  await page.getByTestId('try-submit').click();
  await expect(page.getByTestId('prediction')).toHaveAttribute('data-top', /animals|kitchen|weather/);
  await page.screenshot({ path: '.cache/e2e/texts-result.png' });
});
