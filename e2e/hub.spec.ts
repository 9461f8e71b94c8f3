import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TestHub } from '../tools/hub/server.ts';
import { hubHeaders } from '../tools/serve/headers.mjs';
import { expect, test } from './studio.ts';

const folder = fileURLToPath(new URL('../tools/reference/fixtures/vit-tiny/', import.meta.url));
const files = new Map(
  ['config.json', 'preprocessor_config.json', 'model.safetensors'].map((f) => [
    f,
    new Uint8Array(readFileSync(folder + f)),
  ]),
);
const commit = '0123456789'.repeat(4);

test('a gated model comes from a hub that resets connections, and stays', async ({
  open,
  witness,
  context,
}) => {
  const hub = await TestHub.open({
    models: { 'some/vit': { commit, files, token: 'hf_right' } },
    // The first request for the weights is for their header.
    fault: ({ path, number }) =>
      path.endsWith('model.safetensors') && number % 2 === 0 ? { resetAfter: 30_000, slow: 1 } : undefined,
  });
  // What a refusal and a reset leave in the console.
  witness.expect(/status of 401|ERR_CONNECTION_RESET|ERR_CONTENT_LENGTH_MISMATCH|ERR_INCOMPLETE/);
  const scripts: { url: string; policy: string | undefined }[] = [];
  context.on('response', (answer) => {
    if (/hub\.worker/.test(answer.url()))
      scripts.push({ url: answer.url(), policy: answer.headers()['content-security-policy'] });
  });
  const page = await open();
  await page.getByTestId('step-backbone').click();
  await page.getByTestId('hub-model').fill('some/vit');
  await page.getByText('Mirror and token').click();
  await page.getByTestId('hub-mirror').fill(hub.address);
  await page.getByTestId('hub-load').click();
  const form = page.getByRole('form', { name: 'Load from the hub' });
  await expect(form.getByRole('alert')).toContainText('gated or private');

  await page.getByTestId('hub-token').fill('hf_right');
  await page.getByTestId('hub-load').click();
  await expect(page.getByRole('heading', { level: 1, name: 'some/vit' })).toBeVisible();
  await expect(page.getByText(`some/vit, commit ${commit.slice(0, 12)}, from ${hub.address}`)).toBeVisible();
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }));
  expect(kept).toContain(hub.address);
  expect(kept).not.toContain('hf_right');
  expect(scripts.map(({ policy }) => policy)).toContain(hubHeaders['Content-Security-Policy']);
  await hub.close();

  await page.getByTestId('machine').click();
  const stored = page.getByTestId('stored-backbones');
  await expect(stored).toContainText('1 backbone');
  await page.reload();
  await page.getByTestId('step-backbone').click();
  await expect(page.getByRole('heading', { level: 1, name: 'some/vit' })).toBeVisible();
  await page.getByTestId('machine').click();
  await stored.getByRole('button', { name: 'Remove some/vit' }).click();
  await expect(stored).toContainText('None.');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(stored).toContainText('some/vit');
});
