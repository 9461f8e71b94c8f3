import { defineConfig } from 'vitest/config';
import { vulkanEnvironment } from './tools/vulkan.ts';

// The loader's path must be in the environment before a test process starts, so it is set here, not in `test.env`.
Object.assign(process.env, vulkanEnvironment());

/** Units run in Node; those that need a GPU get Dawn, over SwiftShader where no real driver answers. */
export default defineConfig({
  test: {
    include: ['{app,gpu-shaders,models,workers,tools}/**/*.test.{ts,tsx}'],
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
