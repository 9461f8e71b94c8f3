import { drawings, tinyVit } from './pictures.ts';
import { expect, test } from './studio.ts';
import { User } from './user.ts';

test('a mask is painted and chosen anew while a run rests, and the run goes on with it', async ({ open }) => {
  const user = new User(await open());
  const { page } = user;
  await user.drop(tinyVit);
  await expect(page.getByTestId('understood')).toBeVisible({ timeout: 60_000 });
  await user.drop(drawings);
  await expect(page.getByTestId('dataset-name')).toHaveText('images', { timeout: 60_000 });
  await user.go('backbone');
  await page.getByRole('radio', { name: 'vit-tiny' }).check();
  await user.choose('method', 'shira');
  await user.turnAll({ density: 10, batch_size: 8, epochs: 60 });
  await user.train();
  await expect(user.state).toHaveAttribute('data-state', 'running', { timeout: 60_000 });
  await page.getByTestId('pause').click();
  await expect(user.state).toHaveAttribute('data-state', 'paused', { timeout: 30_000 });

  await page.getByTestId('panel-sparsity').click();
  const map = page.getByTestId('mask-map');
  const trained = async () => Number(/: (\d+) of/.exec((await map.getAttribute('aria-label')) ?? '')?.[1]);
  await expect(map).toBeVisible();
  const before = await trained();
  expect(before).toBeGreaterThan(0);
  const box = (await map.boundingBox())!;
  await page.mouse.move(box.x + 2, box.y + 2);
  await page.mouse.down();
  await page.mouse.move(box.x + 60, box.y + 40, { steps: 3 });
  await page.mouse.up();
  await page.getByTestId('mask-out').click();
  await expect.poll(trained).toBeLessThan(before);
  const after = await trained();
  console.log(`mask: ${before} trained weights, ${after} when a part was painted out`);

  // Half as dense as it is now, by the size of the weights: the run goes on with that.
  await page.getByTestId('mask-criterion').selectOption('magnitude');
  await page.getByTestId('mask-density').fill('0.5');
  await page.getByTestId('mask-renew').click();
  await expect(page.getByTestId('mask-cost')).toBeVisible({ timeout: 60_000 });
  await expect.poll(trained, { timeout: 60_000 }).not.toBe(after);
  const thin = await trained();
  expect(Math.abs(thin - after / 2)).toBeLessThanOrEqual(1);
  console.log(
    `mask chosen anew by magnitude: ${thin} trained weights; ${await page.getByTestId('mask-cost').innerText()}`,
  );

  await page.getByTestId('resume').click();
  await expect(user.state).toHaveAttribute('data-state', 'running', { timeout: 60_000 });
  await expect.poll(trained).toBe(thin);
  await page.getByTestId('stop').click();
  await expect(user.state).toHaveAttribute('data-state', 'stopped', { timeout: 60_000 });
});
