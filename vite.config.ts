import { basename, dirname, extname } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { policy, policyText, securityHeaders } from './tools/serve/headers.mjs';
import { offline } from './tools/serve/offline.ts';

/** React's refresh needs one inline script, which a nonce allows, and the dev server a socket. */
const NONCE = 'dev';
const devHeaders = {
  ...securityHeaders,
  'Content-Security-Policy': policyText({
    ...policy,
    'script-src': [...policy['script-src'], `'nonce-${NONCE}'`],
    // The dev server sends one policy for all, so the hub worker's reach is in it too.
    'connect-src': ["'self'", 'ws:', 'https:', 'http://localhost:*'],
  }),
};

export default defineConfig(({ command }) => ({
  // Relative, so that a build works under any path of any host.
  base: './',
  plugins: [react(), offline()],
  html: command === 'serve' ? { cspNonce: NONCE } : {},
  assetsInclude: ['**/*.safetensors', '**/*.onnx'],
  worker: { format: 'es', rolldownOptions: { output: { assetFileNames: assetName } } },
  // Pre-bundling would move the module away from the .wasm files it looks for beside itself.
  optimizeDeps: { exclude: ['onnxruntime-web', '@jsquash/jpeg', '@jsquash/webp'] },
  server: { headers: devHeaders, host: 'localhost' },
  preview: { headers: securityHeaders, host: 'localhost' },
  build: {
    target: 'es2022',
    sourcemap: false,
    // A data: URL in place of a small file would break what reads it by range, and hides it from the offline list.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rolldownOptions: { output: { assetFileNames: assetName } },
  },
}));

/** Weights keep their folder, by which the offline list knows the default backbone; all names carry a hash. */
function assetName({ originalFileNames }: { originalFileNames: string[] }): string {
  const original = originalFileNames[0]?.replaceAll('\\', '/') ?? '';
  const name = extname(original) ? '[name]-[hash][extname]' : '[name]-[hash].txt';
  return original.includes('models/weights/')
    ? `assets/weights/${basename(dirname(original))}/${name}`
    : `assets/${name}`;
}
