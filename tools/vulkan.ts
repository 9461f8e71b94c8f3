import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chromiumPath } from './chromium.ts';

/**
 * Environment with which a Node process started from here finds a Vulkan loader and driver: what the caller set
 * wins; else the loader and the SwiftShader driver that lie beside Chromium. A system loader and a GPU's own
 * driver are found without help, so nothing is set where a system loader is present.
 */
export function vulkanEnvironment(): Record<string, string> {
  if (process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES) return withLoader({});
  const hasGpu = existsSync('/proc/driver/nvidia') || existsSync('/dev/dri/renderD128');
  const driver = folders()
    .map((f) => join(f, 'vk_swiftshader_icd.json'))
    .find(existsSync);
  return withLoader(hasGpu || !driver ? {} : { VK_ICD_FILENAMES: driver });
}

function folders(): string[] {
  const chromium = chromiumPath();
  return [...(chromium ? [dirname(chromium)] : []), '/usr/lib/chromium'];
}

function withLoader(env: Record<string, string>): Record<string, string> {
  const loader = folders().find((f) => existsSync(join(f, 'libvulkan.so.1')));
  if (!loader || process.platform !== 'linux') return env;
  // Last in the path: a system loader, where there is one, comes first.
  return {
    ...env,
    LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, '/usr/lib/x86_64-linux-gnu', loader]
      .filter(Boolean)
      .join(':'),
  };
}
