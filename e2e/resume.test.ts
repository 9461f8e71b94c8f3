import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { unzipSync } from 'fflate';
import { drawings, tinyVit } from './pictures.ts';
import { expect, test } from './studio.ts';
import { User } from './user.ts';

const knobs = { r: 4, batch_size: 8, epochs: 60, lora_dropout: 0.1 };

test('a tab killed in the middle of a run goes on where it was, to the same bits', async ({ open }) => {
  test.setTimeout(300_000);
  const first = new User(await open());
  await begin(first);
  await first.finish();
  const undisturbed = adapterOf(await first.download());

  await first.go('method');
  await first.train();
  await stepsDone(first.page, 20);
  await first.page.getByTestId('pause').click();
  await expect(first.page.getByTestId('resume')).toBeVisible();
  const paused = await stepsDone(first.page, 20);
  await first.page.getByTestId('resume').click();
  await stepsDone(first.page, paused + 10);
  await first.page.close({ runBeforeUnload: false });

  const second = new User(await open());
  const row = second.page.locator('[data-testid^="run-"][data-state="interrupted"]');
  await row.getByRole('button').first().click();
  await expect(second.page.getByTestId('loss')).toHaveText(/\d/);
  await second.page.getByTestId('resume').click();
  await second.finish();
  expect(Buffer.compare(adapterOf(await second.download()), undisturbed)).toBe(0);
});

async function begin(user: User): Promise<void> {
  await user.drop(tinyVit);
  await expect(user.page.getByTestId('understood')).toBeVisible({ timeout: 60_000 });
  await user.drop(drawings);
  await expect(user.page.getByTestId('dataset-name')).toHaveText('images', { timeout: 60_000 });
  await user.go('backbone');
  await user.page.getByRole('radio', { name: 'vit-tiny' }).check();
  await user.go('method');
  await user.turnAll(knobs);
  await user.train();
}

function adapterOf(zip: string): Buffer {
  return Buffer.from(unzipSync(readFileSync(zip))['adapter_model.safetensors']);
}

/** Waits until the run on the stage has done that many steps. @returns how many it has */
async function stepsDone(page: Page, least: number): Promise<number> {
  const bar = page.locator('#stage').getByRole('progressbar', { name: 'Training' });
  let done = 0;
  await expect
    .poll(async () => {
      done = Number(await bar.getAttribute('aria-valuenow'));
      return done;
    })
    .toBeGreaterThanOrEqual(least);
  return done;
}
