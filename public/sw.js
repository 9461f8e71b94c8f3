/**
 * Makes the studio work offline, and safe on hosts that set no headers. A build's files live in one cache named by
 * its version; every answer leaves with the studio's headers, so that a page from the cache is as isolated as one
 * from `npm start`. The build fills in `__BUILD__` (tools/serve/offline.ts has its type).
 */
const BUILD = __BUILD__;
const CACHE = `graft-${BUILD.version}`;
const ROOT = new URL('./', self.location.href);
const KNOWN = new Set(
  [...BUILD.shell, ...BUILD.later, ...BUILD.onUse].map((path) => new URL(path, ROOT).href),
);
/** How long a page waits for its host before it opens from the cache. */
const NETWORK_PATIENCE_MS = 3000;
const PAGE = new URL('index.html', ROOT).href;
/** Headers of the files that have their own, by address. */
const OWN = new Map(
  Object.entries(BUILD.ownHeaders).map(([path, headers]) => [new URL(path, ROOT).href, headers]),
);

self.addEventListener('install', (event) => {
  // A newer build waits for the tabs of the older one, whose later files it does not have.
  const first = !self.registration.active;
  event.waitUntil(fill(BUILD.shell).then(() => (first ? self.skipWaiting() : undefined)));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(dropOldCaches().then(() => self.clients.claim()));
});

self.addEventListener('message', (event) => {
  if (event.data !== 'fetch-the-rest') return;
  // From this machine a file costs nothing, so all of them are kept; from elsewhere only what any visitor needs.
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(self.location.hostname);
  event.waitUntil(
    fill(local ? [...BUILD.later, ...BUILD.onUse] : BUILD.later).then(
      () => event.source?.postMessage({ kind: 'offline-ready', whole: local }),
      (error) => event.source?.postMessage({ kind: 'offline-failed', message: error.message }),
    ),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (!url.href.startsWith(ROOT.href)) return;
  event.respondWith(answer(request, url));
});

async function answer(request, url) {
  const navigates = request.mode === 'navigate';
  const key = navigates ? PAGE : url.origin + url.pathname;
  if (!KNOWN.has(key)) return withHeaders(await fetch(request), key);
  const range = request.headers.get('range');
  const kept = await (await caches.open(CACHE)).match(key);
  // A part of a file that is not here costs its own bytes, not the whole file's.
  if (range && !kept) return withHeaders(await fetch(request), key);
  // A name with a hash never changes its content; any other may be of a newer build, where the host is in reach.
  if (kept && key.includes('/assets/')) return withHeaders(await slice(kept, range), key);
  const fresh = fetch(navigates ? request : key, { cache: 'no-cache' });
  const whole = kept
    ? await Promise.race([fresh.catch(() => kept), after(NETWORK_PATIENCE_MS, kept)])
    : await fresh;
  if (whole !== kept && whole.status === 200 && !navigates)
    await (await caches.open(CACHE)).put(key, whole.clone());
  return withHeaders(await slice(whole.status >= 500 && kept ? kept : whole, range), key);
}

function after(ms, value) {
  return new Promise((resolve) => setTimeout(resolve, ms, value));
}

/** Puts files into this build's cache, one after another, so as not to compete with the page. */
async function fill(paths) {
  const cache = await caches.open(CACHE);
  for (const path of paths) {
    const url = new URL(path, ROOT).href;
    if (await cache.match(url)) continue;
    const answer = (await fromOldCache(url)) ?? (await fetch(url, { cache: 'no-cache' }));
    if (answer.status !== 200) throw new Error(`${path} could not be fetched (${answer.status}).`);
    await cache.put(url, answer);
  }
}

/** A file of an earlier build under the same name, when that name carries a hash of its content. */
async function fromOldCache(url) {
  return url.includes('/assets/') ? caches.match(url) : undefined;
}

async function dropOldCaches() {
  for (const name of await caches.keys()) {
    if (name.startsWith('graft-') && name !== CACHE) await caches.delete(name);
  }
}

/** The part of a whole answer that a `Range` header asks for. */
async function slice(answer, range) {
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (!match || answer.status !== 200) return answer;
  const body = await answer.blob();
  const from = Number(match[1]);
  const to = match[2] === '' ? body.size - 1 : Math.min(Number(match[2]), body.size - 1);
  if (from > to)
    return new Response(null, { status: 416, headers: { 'Content-Range': `bytes */${body.size}` } });
  const headers = new Headers(answer.headers);
  headers.set('Content-Range', `bytes ${from}-${to}/${body.size}`);
  headers.set('Content-Length', String(to - from + 1));
  return new Response(body.slice(from, to + 1), { status: 206, headers });
}

function withHeaders(answer, key) {
  if (answer.type === 'opaque' || answer.type === 'error' || answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(OWN.get(key) ?? BUILD.headers)) headers.set(name, value);
  const bodiless = [101, 204, 205, 304].includes(answer.status);
  return new Response(bodiless ? null : answer.body, {
    status: answer.status,
    statusText: answer.statusText,
    headers,
  });
}
