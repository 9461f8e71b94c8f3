import { chromiumFlags, chromiumPath } from '../tools/chromium.ts';
import { drawings } from './pictures.ts';
import { expect, test } from './studio.ts';
import { User } from './user.ts';

test.use({
  launchOptions: {
    executablePath: chromiumPath(),
    args: chromiumFlags.filter((flag) => flag !== '--enable-unsafe-webgpu'),
  },
});

test('without WebGPU the page says what is missing, and a linear probe still trains', async ({ open }) => {
  test.setTimeout(240_000);
  const user = new User(await open());
  const { page } = user;
  await expect(page.getByTestId('no-webgpu')).toBeVisible();
  await page.getByTestId('no-webgpu').getByRole('button').first().click();
  await expect(page.getByTestId('machine-page')).toContainText('Firefox');

  await user.go('data');
  await user.drop(drawings);
  await expect(page.getByTestId('dataset-name')).toHaveText('images', { timeout: 60_000 });
  await user.choose('method', 'linear-probe');
  await user.turnAll({ image_size: 64 });
  await user.train();
  await user.finish();
  await expect(page.getByTestId('confusion')).toBeVisible();
});
