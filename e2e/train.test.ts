import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import { openOnnx } from '../tools/onnx/node.ts';
import { drawings, fewOf, signDigits } from './pictures.ts';
import { expect, longTasks, test } from './studio.ts';
import { share, User } from './user.ts';

test.describe('pictures in, adapter out', () => {
  test('photographs of hands: a LoRA beats the probe, and its zip predicts the same in another tab', async ({
    open,
  }) => {
    test.skip(signDigits === null, 'sign-digits is not beside the repository');
    test.setTimeout(600_000);
    const hands = fewOf(signDigits!, 'hands', { train: 12, test: 4 });
    const user = new User(await open());
    await user.drop(hands);
    await expect(user.page.getByTestId('dataset-name')).toHaveText('hands', { timeout: 60_000 });
    await user.go('method');
    await user.turnAll({ image_size: 128, batch_size: 16, epochs: 5, seed: 1 });
    await user.train();
    await user.finish(540_000);
    const [adapted, probe] = [
      await share(user.page, 'test-accuracy'),
      await share(user.page, 'probe-accuracy'),
    ];
    console.log(`hands: with the adapter ${adapted}, frozen with a linear probe ${probe}`);
    expect(adapted).toBeGreaterThan(probe);

    const picture = join(hands, 'test/3', readdirSync(join(hands, 'test/3'))[0]);
    const said = await user.tryPicture(picture);
    const zip = await user.download();
    const files = unzipSync(readFileSync(zip));
    for (const name of ['adapter_model.safetensors', 'adapter_config.json', 'README.md']) {
      expect(Object.keys(files)).toContain(name);
    }
    const other = new User(await open());
    await other.drop(zip);
    await expect(other.page.getByTestId('try-box')).toBeVisible({ timeout: 60_000 });
    const again = await other.tryPicture(picture);
    expect(withAdapter(again.rows)).toEqual(withAdapter(said.rows));
  });

  test('drawings, with what the repository carries', async ({ open }) => {
    const user = new User(await open());
    await user.drop(drawings);
    await expect(user.page.getByTestId('dataset-name')).toHaveText('images', { timeout: 60_000 });
    await user.go('method');
    await user.turnAll({ image_size: 64, batch_size: 8, epochs: 3 });
    const tasks = await longTasks(user.page);
    await user.train();
    await user.finish();
    console.log(`main-thread tasks over 50 ms while it trained: ${JSON.stringify(await tasks())}`);
    await user.page.getByTestId('panel-profile').click();
    await user.page.getByTestId('profile-step').click();
    await expect(user.page.getByTestId('profile').getByRole('row', { name: /adamw/ })).toBeVisible({
      timeout: 60_000,
    });
    await user.page.getByTestId('panel-rank').click();
    await user.page.getByTestId('rank-all').fill('2');
    await expect(user.page.getByTestId('rank-outcome')).toContainText('energy kept', { timeout: 60_000 });
    console.log(
      `cut to rank 2: ${(await user.page.getByTestId('rank-outcome').innerText()).replace(/\s+/g, ' ')}`,
    );
    expect(configOf(await user.download('rank-download'))).toMatchObject({ r: 2, lora_alpha: 2 });
    await user.page.getByRole('button', { name: 'Close the panels' }).click();
    const picture = join(drawings, 'dots/dots-00.png');
    const said = await user.tryPicture(picture);
    await user.page.getByTestId('check').click();
    const checked = user.page.getByTestId('check-result');
    await expect(checked).toHaveAttribute('data-passed', 'true', { timeout: 120_000 });
    console.log(`frozen features beside ONNX Runtime's: ${(await checked.innerText()).replace(/\s+/g, ' ')}`);
    const zip = await user.download();
    const { prefix } = JSON.parse(strFromU8(unzipSync(readFileSync(zip))['run.json']));
    console.log(`frozen features by ${prefix.by}`);
    expect(prefix).not.toHaveProperty('because');
    const other = new User(await open());
    await other.drop(zip);
    await expect(other.page.getByTestId('try-box')).toBeVisible({ timeout: 60_000 });
    const again = await other.tryPicture(picture);
    expect(withAdapter(again.rows)).toEqual(withAdapter(said.rows));
    expect(await classesOf(await user.download('download-onnx'), 64)).toBe(said.rows.length);
  });
});

/** What a downloaded adapter says of itself to PEFT. */
function configOf(zip: string): unknown {
  const files = unzipSync(new Uint8Array(readFileSync(zip)));
  return JSON.parse(new TextDecoder().decode(files['adapter_config.json']));
}

/** Runs a downloaded model on one picture. @returns the number of its logits */
async function classesOf(file: string, side: number): Promise<number> {
  const session = await openOnnx().open({ graph: new Uint8Array(readFileSync(file)), weights: null });
  const pixels = { data: new Float32Array(3 * side * side).fill(0.5), shape: [1, 3, side, side] };
  const { logits } = await session.run({ pixel_values: pixels });
  await session.close();
  expect(logits.every(Number.isFinite)).toBe(true);
  return logits.length;
}

/** Class and share with the adapter; an imported adapter has no probe to show beside it. */
function withAdapter(rows: string[]): string[] {
  return rows.map((row) =>
    row
      .split(/\s*\t\s*/)
      .slice(0, 2)
      .join(' '),
  );
}
