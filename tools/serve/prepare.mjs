import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What `dist` is built from. */
const SOURCES = [
  'app',
  'workers',
  'models',
  'gpu-shaders',
  'public',
  'index.html',
  'vite.config.ts',
  'package-lock.json',
  'tools/serve',
];

/** Runs `npm ci` when what is installed is not what the lock file asks for. */
export async function installIfMissing() {
  const wrong = await firstMismatch();
  if (!wrong) return;
  console.log(`Installing packages (${wrong}); the first time takes a minute or two.`);
  const code = await runNpm(['ci', '--include=dev', '--no-audit', '--no-fund']);
  if (code === 0) return;
  throw new Error(
    `npm ci ended with code ${code}; its own message stands above. It needs the network once: check the connection, and a proxy or registry set in npm (npm config list), then run this again.`,
  );
}

/**
 * Compares by content, not by date: an install touches both files in an order that npm does not promise.
 *
 * @returns {Promise<string | null>} what is missing or of another version, null when nothing is
 */
async function firstMismatch() {
  const installed = await packages(join(ROOT, 'node_modules', '.package-lock.json'));
  if (!installed) return 'none are here yet';
  const wanted = await packages(join(ROOT, 'package-lock.json'));
  if (!wanted)
    throw new Error(
      'package-lock.json is missing or broken. Restore it from the repository: git checkout package-lock.json',
    );
  for (const [path, { version, optional, devOptional, peer, link }] of Object.entries(wanted)) {
    // Optional packages are left out on platforms they are not for.
    if (path === '' || link || optional || devOptional || peer) continue;
    if (installed[path]?.version !== version)
      return `${path.replace(/^.*node_modules\//, '')} ${version} is missing`;
  }
  return null;
}

async function packages(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8')).packages ?? null;
  } catch {
    return null;
  }
}

/** Builds when `dist` is missing or anything it is made from is newer. */
export async function buildIfStale() {
  const built = await modified(join(ROOT, 'dist', 'sw.js'));
  const newest = Math.max(...(await Promise.all(SOURCES.map((path) => newestUnder(join(ROOT, path))))));
  if (built > newest) return;
  console.log(built ? 'The sources changed since the last build; building.' : 'Building.');
  await build();
}

/** @throws when the build fails; the builder's own message has been printed by then. */
export async function build() {
  const code = await run(process.execPath, [join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js'), 'build']);
  if (code !== 0) throw new Error(`The build ended with code ${code}; its message stands above.`);
}

async function newestUnder(path) {
  const info = await stat(path).catch(() => null);
  if (!info) return 0;
  if (!info.isDirectory()) return info.mtimeMs;
  const names = await readdir(path);
  return Math.max(info.mtimeMs, ...(await Promise.all(names.map((name) => newestUnder(join(path, name))))));
}

async function modified(path) {
  return (await stat(path).catch(() => null))?.mtimeMs ?? 0;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string> }} [options] variables to add
 * @returns {Promise<number>} the exit code; 128 plus a few for a signal
 */
export function run(command, args, { env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.on('error', (error) =>
      reject(
        new Error(
          `${command} could not be started (${error.code}). Install it, or put it on the PATH, and run this again.`,
        ),
      ),
    );
    child.on('exit', (code, signal) => resolve(signal ? 130 : (code ?? 1)));
  });
}

/** Runs the npm that started this process, else the one on the PATH. */
export function runNpm(args) {
  const own = process.env.npm_execpath;
  if (own?.endsWith('.js') && existsSync(own)) return run(process.execPath, [own, ...args]);
  return process.platform === 'win32' ? run('cmd.exe', ['/c', 'npm', ...args]) : run('npm', args);
}
