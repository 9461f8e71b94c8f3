import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { synthesise } from '../models/data/audio/synth.ts';
import { encodeWav } from '../models/data/audio/wav.ts';
import { folderOf } from './pictures.ts';
import { expect, test } from './studio.ts';
import { share, User } from './user.ts';

const fixture = (file: string) =>
  readFileSync(fileURLToPath(new URL(`../tools/reference/fixtures/sounds/${file}`, import.meta.url)));

/** Eight sounds a class as WAV, one of them in each other encoding, and a file that is cut off. */
function soundFolder(): string {
  const files: Record<string, Uint8Array> = {
    'tone/stereo.mp3': fixture('stereo.mp3'),
    'bell/stereo.flac': fixture('stereo.flac'),
    'clicks/mono.ogg': fixture('mono.ogg'),
    'tone/cut.wav': fixture('cut.wav'),
  };
  for (const name of ['bell', 'clicks', 'tone'])
    for (let take = 0; take < 8; take++)
      files[`${name}/${take}.wav`] = encodeWav(synthesise(name, 100 + take), 16000);
  return folderOf('sounds', files);
}

test('sounds in, adapter out: spectrograms, playing, training, trying', async ({ open }) => {
  test.setTimeout(600_000);
  const user = new User(await open());
  const { page } = user;
  const folder = soundFolder();
  await user.drop(folder);
  await expect(page.getByTestId('dataset-name')).toHaveText('sounds', { timeout: 60_000 });
  await expect(page.getByTestId('understood')).toContainText('27 sounds in 3 classes');
  await page.getByTestId('rejected').locator('summary').click();
  await expect(page.getByTestId('rejected')).toContainText('cut off');
  const first = page.getByRole('button', { name: /^Play bell\/0\.wav, 1\.0 s/ });
  await first.click();
  await expect(first).toHaveAttribute('aria-pressed', 'true');
  await expect(first).toHaveAttribute('aria-pressed', 'false', { timeout: 10_000 });
  await page.screenshot({ path: '.cache/e2e/sounds-data.png' });

  // The backbone that hears was chosen with the data.
  await user.go('method');
  await user.turnAll({ seconds: 1, batch_size: 8, epochs: 2 });
  await user.train();
  await user.finish(540_000);
  console.log(`sounds: with the adapter ${await share(page, 'test-accuracy')}`);
  const said = await user.tryPicture(join(folder, 'clicks/3.wav'));
  expect(said.rows).toHaveLength(3);
  await page.screenshot({ path: '.cache/e2e/sounds-result.png' });
});
