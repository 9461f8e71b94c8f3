import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, type Page } from '@playwright/test';

export type Step = 'data' | 'backbone' | 'method' | 'train' | 'result';

/** What the try-it box said of a picture, as shown. */
export interface Said {
  top: string;
  /** Class, with the adapter, without: the table's rows as text. */
  rows: string[];
}

/** Does on the page what a person does, in a person's words. Test ids are listed in app/README.md. */
export class User {
  constructor(readonly page: Page) {}

  /** Drops files or folders from the disk on the page, as a drag from the file manager does. */
  async drop(...paths: string[]): Promise<void> {
    const cdp = await this.page.context().newCDPSession(this.page);
    const box = (await this.page.locator('#stage').boundingBox())!;
    const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    const drag = (type: 'dragEnter' | 'dragOver' | 'drop') =>
      cdp.send('Input.dispatchDragEvent', { type, ...at, data });
    await this.page.evaluate(() => {
      const page = document.documentElement;
      page.dataset['dropped'] = 'no';
      addEventListener('drop', () => page.setAttribute('data-dropped', 'yes'), { once: true, capture: true });
    });
    // The browser lets go only where the page has answered that it would take it; a hand hovers for longer than that.
    await expect(async () => {
      for (const type of ['dragEnter', 'dragOver', 'dragOver'] as const) {
        await drag(type);
        await this.page.evaluate(() => new Promise(requestAnimationFrame));
      }
      await drag('drop');
      await expect(this.page.locator('html')).toHaveAttribute('data-dropped', 'yes', { timeout: 2000 });
    }).toPass({ timeout: 30_000 });
    await cdp.detach();
  }

  async go(step: Step): Promise<void> {
    await this.page.getByTestId(`step-${step}`).click();
    await expect(this.page.getByTestId(`step-${step}`)).toHaveAttribute('aria-current', 'step');
  }

  async choose(what: 'backbone' | 'method', id: string): Promise<void> {
    await this.go(what);
    await this.page.getByTestId(`${what}-${id}`).click();
  }

  /** Sets a knob of the next run, opening the fold where it lies there. */
  async turn(key: string, value: string | number | boolean): Promise<void> {
    const knob = this.page.getByTestId(`knob-${key}`);
    if ((await knob.count()) === 0) await this.page.getByTestId('more-knobs').click();
    await knob.scrollIntoViewIfNeeded();
    const kind = await knob.evaluate((e) => e.tagName);
    if (kind === 'SELECT') await knob.selectOption(String(value));
    else if (kind === 'INPUT') {
      await knob.fill(String(value));
      await knob.press('Enter');
    } else if ((await knob.getAttribute('aria-checked')) !== String(value)) await knob.click();
  }

  async turnAll(knobs: Record<string, string | number | boolean>): Promise<void> {
    for (const [key, value] of Object.entries(knobs)) await this.turn(key, value);
  }

  /** Presses Train; the page shows the run. */
  async train(): Promise<void> {
    await expect(this.page.getByTestId('train')).toHaveAttribute('aria-disabled', 'false', {
      timeout: 60_000,
    });
    await this.page.getByTestId('train').click();
    await expect(this.state).toBeVisible();
  }

  /** The line that says what the run on the stage is doing. */
  get state() {
    return this.page.getByTestId('run-state');
  }

  /** Waits until the run on the stage is done, then shows its result. */
  async finish(timeout = 150_000): Promise<void> {
    await expect(this.state).toHaveAttribute('data-state', /^(done|failed)$/, {
      timeout,
    });
    if ((await this.state.getAttribute('data-state')) !== 'done') {
      throw new Error(`The run ended otherwise than done: ${await this.page.locator('#stage').innerText()}`);
    }
    await this.page.getByTestId('see-result').click();
    await expect(this.page.getByTestId('test-accuracy')).toBeVisible();
  }

  /** Downloads the adapter of the run on the stage, as it is or cut in the Rank panel, or the whole model. @returns the file's path */
  async download(what: 'download' | 'download-onnx' | 'rank-download' = 'download'): Promise<string> {
    const arrives = this.page.waitForEvent('download');
    await this.page.getByTestId(what).click();
    const download = await arrives;
    const path = join(mkdtempSync(join(tmpdir(), 'graft-e2e-')), download.suggestedFilename());
    await download.saveAs(path);
    return path;
  }

  async tryPicture(path: string): Promise<Said> {
    const table = this.page.getByTestId('prediction');
    const before = await table.innerText();
    await this.page.getByTestId('try-input').setInputFiles(path);
    await expect(table).toHaveAttribute('data-top', /.+/);
    await expect.poll(() => table.innerText()).not.toBe(before);
    await expect(this.page.getByTestId('try-box').locator('[aria-busy="true"]')).toHaveCount(0);
    return {
      top: (await table.getAttribute('data-top'))!,
      rows: await table.locator('tbody tr').allInnerTexts(),
    };
  }
}

/** A share as the page shows it (`94.5 %`), as a number from 0 to 1. */
export async function share(page: Page, testId: string): Promise<number> {
  const text = await page.getByTestId(testId).innerText();
  const value = Number.parseFloat(text.replace(',', '.'));
  if (Number.isNaN(value)) throw new Error(`${testId} shows “${text}”, which is no share.`);
  return value / 100;
}
