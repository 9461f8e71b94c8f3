import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { hubHeaders, hubScript, securityHeaders } from './headers.mjs';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.safetensors': 'application/octet-stream',
  '.onnx': 'application/octet-stream',
};

/**
 * An HTTP server for a folder of static files, on loopback only.
 *
 * @param {{ root: string, headers?: Record<string, string>, base?: string }} options `headers` replace the studio's
 *   own (pass `{}` to be a host that sets none); `base` is the path the folder appears under, `/` by default.
 * @returns {import('node:http').Server}
 */
export function createStudioServer({ root, headers = securityHeaders, base = '/' }) {
  return createServer((request, response) => {
    answer(request, response, { root, headers, base }).catch((error) => {
      if (!response.headersSent) response.writeHead(500, { ...headers, 'Content-Type': 'text/plain' });
      response.end(`${error.message}\n`);
    });
  });
}

async function answer(request, response, { root, headers, base }) {
  const refuse = (status, text, more = {}) => {
    response.writeHead(status, { ...headers, 'Content-Type': 'text/plain; charset=utf-8', ...more });
    response.end(`${text}\n`);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return refuse(405, 'Only GET and HEAD are answered.', { Allow: 'GET, HEAD' });
  }
  const path = filePath(root, base, request.url ?? '/');
  const info = path && (await stat(path).catch(() => null));
  if (!info?.isFile()) return refuse(404, 'There is no such file here.');

  const range = parseRange(request.headers.range, info.size);
  if (range === 'unsatisfiable')
    return refuse(416, 'No such range.', { 'Content-Range': `bytes */${info.size}` });
  const { from, to } = range ?? { from: 0, to: info.size - 1 };
  const own = headers === securityHeaders && hubScript.test(path.replaceAll(sep, '/')) ? hubHeaders : headers;
  response.writeHead(range ? 206 : 200, {
    ...own,
    'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
    'Content-Length': Math.max(0, to - from + 1),
    'Accept-Ranges': 'bytes',
    // Names under assets/ carry a hash of their content.
    'Cache-Control': path.includes(`${sep}assets${sep}`) ? 'public, max-age=31536000, immutable' : 'no-cache',
    ...(range ? { 'Content-Range': `bytes ${from}-${to}/${info.size}` } : {}),
  });
  if (request.method === 'HEAD' || info.size === 0) return response.end();
  const stream = createReadStream(path, { start: from, end: to });
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

/** The file a URL names, or null when it leads out of the folder. */
function filePath(root, base, url) {
  let path;
  try {
    path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return null;
  }
  if (!path.startsWith(base) || path.includes('\0') || path.includes('\\')) return null;
  path = `/${path.slice(base.length)}`;
  if (path.endsWith('/')) path += 'index.html';
  const full = normalize(join(root, path));
  return full.startsWith(normalize(root + sep)) ? full : null;
}

/**
 * @param {string | undefined} header
 * @param {number} size of the file in bytes
 * @returns {{ from: number, to: number } | 'unsatisfiable' | null} null when the whole file is to be sent
 */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  const from = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const to = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return from > to || from >= size ? 'unsatisfiable' : { from, to };
}

/**
 * Listens on a port of both loopback addresses, so that `localhost` means this server whichever one a browser tries;
 * goes on to the next port while one is taken. Port 0 takes any free one.
 *
 * @param {() => import('node:http').Server} create
 * @param {number} port
 * @returns {Promise<{ port: number, close: () => Promise<void> }>}
 */
export async function listen(create, port) {
  for (let tried = port; tried <= Math.min(65535, port + 50); tried++) {
    const first = await bind(create(), '127.0.0.1', tried);
    if (first === 'taken') continue;
    const actual = first.address().port;
    const second = await bind(create(), '::1', actual);
    if (second === 'taken') {
      await close(first);
      if (port === 0) tried--;
      continue;
    }
    return {
      port: actual,
      close: async () => {
        await close(first);
        if (second !== 'absent') await close(second);
      },
    };
  }
  throw new Error(`Ports ${port} to ${port + 50} are all taken. Choose another: npm start -- --port 8000`);
}

function bind(server, host, port) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve('taken');
      else if (host === '::1') resolve('absent');
      else reject(error);
    });
    server.listen(port, host, () => resolve(server));
  });
}

function close(server) {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
