import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { drawings, folderOf } from './pictures.ts';
import { expect, test } from './studio.ts';
import { User } from './user.ts';

const png = (name: string) => new Uint8Array(readFileSync(join(drawings, name)));

test('what cannot be read is listed by name with its reason, and the rest is taken', async ({ open }) => {
  const good = { 'cats/a.png': png('dots/dots-00.png'), 'dogs/b.png': png('rings/rings-00.png') };
  const bad = {
    'cats/words.png': 'this is no picture',
    'cats/empty.jpg': '',
    'dogs/half.png': png('rings/rings-01.png').slice(0, 60),
    'dogs/model.pkl': new Uint8Array([0x80, 4, 0x95, 1, 2, 3]),
  };
  const user = new User(await open());
  await user.drop(folderOf('mixed', { ...good, ...bad }));
  await expect(user.page.getByTestId('dataset-name')).toHaveText('mixed', { timeout: 60_000 });
  const list = user.page.getByTestId('rejected');
  await list.locator('summary').click();
  for (const path of Object.keys(bad)) await expect(list).toContainText(path);
  await expect(user.page.getByTestId('class-cats')).toBeVisible();
  await expect(user.page.getByTestId('class-dogs')).toBeVisible();
});

test('a zip that leads out of its folder brings in nothing from there', async ({ open }) => {
  const zip = zipSync({
    '../../escape/a.png': png('dots/dots-00.png'),
    'cats/b.png': png('dots/dots-01.png'),
  });
  const user = new User(await open());
  await user.drop(join(folderOf('zips', { 'hostile.zip': zip }), 'hostile.zip'));
  const said = user.page.getByTestId('rejected').or(user.page.getByTestId('error'));
  await expect(said.first()).toBeVisible({ timeout: 60_000 });
  await expect(user.page.getByTestId('class-escape')).toHaveCount(0);
});

test('a drop with nothing in it for the studio says so and what would be', async ({ open }) => {
  const user = new User(await open());
  await user.drop(folderOf('letters', { 'a.txt': 'hello', 'b/c.doc': 'hello' }));
  const error = user.page.getByTestId('error').filter({ hasText: /folder a class/i });
  await expect(error).toBeVisible({ timeout: 60_000 });
  await expect(user.page.getByTestId('invitation')).toBeVisible();
});
