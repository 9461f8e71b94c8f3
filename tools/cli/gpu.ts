import { spawnSync } from 'node:child_process';
import { create, globals } from 'webgpu';
import { Gpu } from '../../gpu-shaders/index.ts';
import { vulkanEnvironment } from '../vulkan.ts';

let instance: GPU | undefined;

/** The GPU that Dawn finds: a card's own driver, or SwiftShader where there is none. */
export function openGpu(): Promise<Gpu> {
  Object.assign(globalThis, globals);
  // Dawn's instance must outlive its devices, so the module holds it.
  instance ??= create([]);
  return Gpu.open(instance);
}

/**
 * The Vulkan loader's path must be in the environment before a process starts. Where it has to be set, this runs the
 * same command again with it and ends with its exit code; else it returns.
 */
export function withVulkan(): void {
  const wanted = Object.entries(vulkanEnvironment()).filter(([name, value]) => process.env[name] !== value);
  if (!wanted.length || process.env.GRAFT_VULKAN) return;
  const env = { ...process.env, ...Object.fromEntries(wanted), GRAFT_VULKAN: '1' };
  const { status, signal } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env,
    stdio: 'inherit',
  });
  process.exit(status ?? (signal ? 130 : 1));
}
