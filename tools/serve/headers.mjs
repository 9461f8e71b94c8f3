/**
 * The headers the studio is served with, by `npm start`, by the dev server, and by the service worker where the host
 * cannot set them. Nothing but the page's own origin may be loaded or spoken to; isolation gives WASM its threads.
 */

/** Content-Security-Policy, directive by directive. */
export const policy = {
  'default-src': ["'none'"],
  'script-src': ["'self'", "'wasm-unsafe-eval'"],
  'worker-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'blob:', 'data:'],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'media-src': ["'self'", 'blob:'],
  'manifest-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

/**
 * The policy of the one worker that loads models from a hub: it may connect to any encrypted address, since hubs pass
 * requests on to hosts of their own and a mirror is the person's choice, and to this machine. It may load nothing.
 */
const hubPolicy = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'connect-src': ["'self'", 'https:', 'http://localhost:*', 'http://127.0.0.1:*'],
};

/** The hub worker's script, in a build and under the dev server. */
export const hubScript = /(^|\/)hub\.worker[\w.-]*\.(js|ts)$/;

/**
 * @param {Record<string, string[]>} directives
 * @returns {string} the header's value
 */
export function policyText(directives) {
  return Object.entries(directives)
    .map(([name, sources]) => `${name} ${sources.join(' ')}`)
    .join('; ');
}

/** The policy as a `<meta>` element may carry it: browsers ignore `frame-ancestors` there, and say so. */
export function metaPolicyText() {
  const { 'frame-ancestors': _, ...rest } = policy;
  return policyText(rest);
}

export const securityHeaders = {
  'Content-Security-Policy': policyText(policy),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

/** Headers of the hub worker's script. A worker takes its policy from its own script's headers, not from the page. */
export const hubHeaders = { ...securityHeaders, 'Content-Security-Policy': policyText(hubPolicy) };
