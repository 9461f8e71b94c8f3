import { existsSync } from 'node:fs';
import { chromium } from '@playwright/test';

/** Path of a WebGPU-capable Chromium: `CHROMIUM`, the system's, or Playwright's own; undefined where there is none. */
export function chromiumPath(): string | undefined {
  const candidates = [
    process.env.CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    chromium.executablePath(),
  ];
  return candidates.find((path) => path && existsSync(path));
}

/** What Chromium would ask its maker's servers by itself; the last such switch counts, so Playwright's own are here too. */
const unasked = [
  'AutofillServerCommunication',
  'OptimizationHints',
  'NetworkTimeServiceQuerying',
  'MediaRouter',
  'PreconnectToSearch',
  'AimEnabled',
  'LensOverlay',
  'Translate',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
];

/** Switches that give WebGPU on any machine, software adapter included, and keep Chromium off the network. */
export const chromiumFlags = [
  '--enable-unsafe-webgpu',
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  `--disable-features=${unasked.join(',')}`,
];
