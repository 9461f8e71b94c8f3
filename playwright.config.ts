import { defineConfig } from '@playwright/test';
import { chromiumFlags, chromiumPath } from './tools/chromium.ts';

/** Browser tests run against the built page, in a real Chromium with WebGPU (software where there is no GPU). */
export default defineConfig({
  testDir: 'e2e',
  outputDir: '.cache/e2e',
  // A software GPU takes all cores: tests beside each other would only time each other out.
  workers: 1,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  timeout: 180_000,
  expect: { timeout: 30_000 },
  use: {
    browserName: 'chromium',
    // Nothing the page does at a click takes longer; what takes longer is waited for by name.
    actionTimeout: 20_000,
    viewport: { width: 1440, height: 900 },
    launchOptions: { executablePath: chromiumPath(), args: chromiumFlags },
    screenshot: 'only-on-failure',
  },
});
