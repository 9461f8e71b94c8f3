import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build, installIfMissing, ROOT, run } from './serve/prepare.mjs';

/**
 * `npm test`: installs what is missing, then checks types, lint, units, the build and the page in a real browser.
 * All stages run, whatever an earlier one found, but for the browser when there is no build to open.
 */

const REPORTS = join(ROOT, '.cache', 'reports');
const bin = (name, ...path) => [process.execPath, join(ROOT, 'node_modules', name, ...path)];
const counts = { passed: 0, failed: 0, skipped: 0 };
const stages = [];

/** Runs a stage, times it, and says whether it went well. */
async function stage(name, work) {
  const from = performance.now();
  console.log(`\n── ${name} ${'─'.repeat(Math.max(0, 60 - name.length))}`);
  let ok = false;
  try {
    ok = await work();
  } catch (error) {
    console.error(error.message);
  }
  stages.push({ name, ok, minutes: (performance.now() - from) / 60_000 });
  return ok;
}

const succeeds = async (command, ...args) => (await run(command, args)) === 0;

/** Adds a runner's figures, from its JSON report, to the sum. @returns {boolean} false when there is no report */
function add(file, read) {
  if (!existsSync(file)) {
    console.error(
      `There is no ${file}: its runner ended before it could count. One failure is added for it.`,
    );
    counts.failed++;
    return false;
  }
  const { passed, failed, skipped } = read(JSON.parse(readFileSync(file, 'utf8')));
  counts.passed += passed;
  counts.failed += failed;
  counts.skipped += skipped;
  return true;
}

async function units() {
  const file = join(REPORTS, 'vitest.json');
  const [node, vitest] = bin('vitest', 'vitest.mjs');
  const ok = await succeeds(
    node,
    vitest,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  );
  const read = (report) => {
    // A file that could not be loaded holds no test that could fail.
    const broken = report.testResults.filter(
      (f) => f.status === 'failed' && f.assertionResults.length === 0,
    ).length;
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests + broken,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  };
  return add(file, read) && ok;
}

async function browser() {
  const file = join(REPORTS, 'playwright.json');
  const [node, playwright] = bin('@playwright', 'test', 'cli.js');
  const code = await run(node, [playwright, 'test', '--reporter=list,json'], {
    env: { PLAYWRIGHT_JSON_OUTPUT_FILE: file },
  });
  const read = ({ stats, errors }) => ({
    passed: stats.expected + stats.flaky,
    failed: stats.unexpected + (stats.unexpected === 0 ? errors.length : 0),
    skipped: stats.skipped,
  });
  return add(file, read) && code === 0;
}

/** Finds a Chromium with WebGPU, or installs one: Debian's where we may, else Playwright's own. */
async function chromium() {
  const { register } = await import('tsx/esm/api');
  register();
  const { chromiumPath } = await import('./chromium.ts');
  const found = () => {
    const path = chromiumPath();
    if (path) console.log(`Chromium: ${path}`);
    return Boolean(path);
  };
  if (found()) return true;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.log('Installing Chromium from the system’s packages.');
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-qq'], { env });
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], { env });
    if (found()) return true;
  }
  console.log('Installing Playwright’s Chromium.');
  const [node, playwright] = bin('@playwright', 'test', 'cli.js');
  await run(node, [playwright, 'install', 'chromium']);
  if (found()) return true;
  throw new Error(
    'No Chromium could be found or installed. Install one, or name one: CHROMIUM=/path/to/chromium npm test',
  );
}

rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });
const ready = await stage('packages', async () => {
  await installIfMissing();
  return true;
});
if (ready) {
  const browserFound = await stage('browser', chromium);
  await stage('types', () => succeeds(...bin('typescript', 'bin', 'tsc'), '--noEmit'));
  await stage('lint', () => succeeds(...bin('@biomejs/biome', 'bin', 'biome'), 'check', '.'));
  await stage('units', units);
  const built = await stage('build', () => build().then(() => true));
  if (built && browserFound) await stage('page', browser);
}

console.log(`\n── minutes ${'─'.repeat(53)}`);
for (const { name, ok, minutes } of stages)
  console.log(`${minutes.toFixed(2).padStart(6)}  ${name}${ok ? '' : '  FAILED'}`);
console.log(
  `${stages
    .reduce((sum, s) => sum + s.minutes, 0)
    .toFixed(2)
    .padStart(6)}  in all\n`,
);
// Types, lint and build hold no tests of their own; one that fails counts as one.
counts.failed += stages.filter(({ name, ok }) => !ok && name !== 'units' && name !== 'page').length;
const broken = counts.failed > 0 || stages.some(({ ok }) => !ok);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(broken ? 1 : 0);
