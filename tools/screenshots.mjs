import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import { register } from 'tsx/esm/api';
import { buildIfStale, installIfMissing, ROOT } from './serve/prepare.mjs';
import { createStudioServer, listen } from './serve/serve.mjs';

/**
 * `npm run screenshots [state …]`: drives the built page through its states, with the sample that ships with it, and
 * writes each at two sizes in two themes to docs/screenshots/. The states follow each other: naming some only spares
 * the pictures of the others.
 */

register();
const { chromiumFlags, chromiumPath } = await import('./chromium.ts');
const { shrinkPng } = await import('./shrinkPng.ts');
const { decodePng } = await import('../models/data/png.ts');
const { encodePng } = await import('../models/data/encodePng.ts');
const { User } = await import('../e2e/user.ts');
const { folderOf } = await import('../e2e/pictures.ts');

const FOLDER = join(ROOT, 'docs', 'screenshots');
const SIZES = [
  { width: 1440, height: 900 },
  { width: 390, height: 844 },
];
const wanted = process.argv.slice(2);
const knobs = { image_size: 96, batch_size: 32, epochs: 6 };

await installIfMissing();
await buildIfStale();
mkdirSync(FOLDER, { recursive: true });
const { port, close } = await listen(() => createStudioServer({ root: join(ROOT, 'dist') }), 0);
const address = `http://localhost:${port}/`;
const browser = await chromium.launch({ executablePath: chromiumPath(), args: chromiumFlags });

async function shoot(page, state) {
  if (wanted.length > 0 && !wanted.includes(state)) return;
  for (const size of SIZES) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.waitForTimeout(400);
      const png = await page.screenshot({ animations: 'disabled' });
      writeFileSync(join(FOLDER, `${state}-${colorScheme}-${size.width}.png`), shrinkPng(png));
    }
  }
  await page.setViewportSize(SIZES[0]);
  await page.emulateMedia({ colorScheme: 'light' });
  console.log(state);
}

/** A test picture of the sample, cut from its sprite (row: class, column: picture). @returns its path */
function ankleBoot() {
  const side = 28;
  const sprite = decodePng(readFileSync(join(ROOT, 'public', 'samples', 'fashion-mnist.png')));
  const [row, column] = [9, 104];
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    const from = ((row * side + y) * sprite.width + column * side) * 3;
    data.set(sprite.data.subarray(from, from + side * 3), y * side * 3);
  }
  const folder = folderOf('tried', { 'ankle-boot.png': encodePng({ width: side, height: side, data }) });
  return join(folder, 'ankle-boot.png');
}

async function open(context) {
  const page = await context.newPage();
  await page.setViewportSize(SIZES[0]);
  await page.goto(address);
  return new User(page);
}

async function theLifeOfARun(context) {
  const user = await open(context);
  const { page } = user;
  await page.locator('[data-testid^="sample-"][aria-disabled="false"]').first().waitFor();
  await shoot(page, 'empty');
  await page.keyboard.press('Control+k');
  await page.getByTestId('palette').waitFor();
  await shoot(page, 'palette');
  await page.keyboard.press('Escape');
  await page.locator('[data-testid^="sample-"]').first().click();
  await page.getByTestId('dataset-name').waitFor({ timeout: 120_000 });
  await page.waitForTimeout(1500);
  await shoot(page, 'data');
  await user.go('backbone');
  await shoot(page, 'backbone');
  await user.go('method');
  await user.turnAll(knobs);
  await page.waitForTimeout(1000);
  await shoot(page, 'method');
  await user.train();
  await shoot(page, 'preparing');
  const bar = page.locator('#stage').getByRole('progressbar', { name: 'Training' });
  while (Number((await bar.count()) && (await bar.getAttribute('aria-valuenow'))) < 60)
    await page.waitForTimeout(300);
  await shoot(page, 'training');
  await page.getByTestId('pause').click();
  await page.getByTestId('resume').waitFor({ timeout: 60_000 });
  await shoot(page, 'paused');
  await page.getByTestId('resume').click();
  await user.turn('r', 2);
  await page.getByTestId('add-to-queue').click();
  await user.turn('epochs', 3);
  await page.getByTestId('add-to-queue').click();
  const waiting = page.getByTestId('queue').locator('li');
  await waiting.nth(1).waitFor();
  await page.getByTestId('move-queue').click();
  await shoot(page, 'queue');
  await user.finish(900_000);
  await user.tryPicture(ankleBoot());
  await shoot(page, 'result');
  await page.getByTestId('confusion').scrollIntoViewIfNeeded();
  await shoot(page, 'result-classes');
  await page.getByTestId('panel-rank').click();
  await page.getByTestId('rank').waitFor();
  await shoot(page, 'rank');
  await page.getByTestId('move-queue').click();
  await page.getByTestId('queue').waitFor({ state: 'detached', timeout: 900_000 });
  await page.locator('[data-testid^="run-"][data-state="done"]').nth(2).waitFor({ timeout: 900_000 });
  await page.getByTestId('compare-open').click();
  await page.getByTestId('pareto').waitFor({ state: 'attached' });
  await shoot(page, 'compare');
  await page.getByRole('button', { name: 'Close the panels' }).click();
  const zip = await user.download();
  await page.close();

  const later = await open(context);
  await later.drop(zip);
  await later.page.getByTestId('try-box').waitFor({ timeout: 60_000 });
  await shoot(later.page, 'imported');
  await later.page.getByTestId('machine').click();
  await later.page.getByTestId('machine-page').waitFor();
  await shoot(later.page, 'machine');
  await later.page.close();
}

async function whatGoesWrong(context) {
  const user = await open(context);
  await user.page.getByTestId('invitation').waitFor();
  await user.drop(folderOf('letters', { 'a.txt': 'hello', 'b/c.doc': 'hello' }));
  await user.page.getByTestId('error').first().waitFor();
  await shoot(user.page, 'nothing-found');
  await user.page.close();
}

/** The page in a browser without WebGPU. */
async function withoutWebGpu() {
  const args = chromiumFlags.filter((flag) => flag !== '--enable-unsafe-webgpu');
  const bare = await chromium.launch({ executablePath: chromiumPath(), args });
  const { page } = await open(await bare.newContext());
  await page.getByTestId('no-webgpu').waitFor();
  await shoot(page, 'no-webgpu');
  await page.getByTestId('machine').click();
  await page.getByTestId('machine-page').waitFor();
  await shoot(page, 'no-webgpu-machine');
  await bare.close();
}

const context = await browser.newContext({ acceptDownloads: true });
await whatGoesWrong(context);
await theLifeOfARun(context);
await withoutWebGpu();
await browser.close();
await close();
if (!existsSync(join(FOLDER, 'result-light-1440.png'))) process.exitCode = 1;
