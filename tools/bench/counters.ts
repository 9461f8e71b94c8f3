/** Counts what a page asks of WebGPU. Wraps the types' methods, so it is imported before any engine. */
export const gpu = {
  live: 0,
  peak: 0,
  buffers: 0,
  submits: 0,
  dispatches: 0,
  passes: 0,
  groups: 0,
  pipelines: 0,
  writes: 0,
};

export type Counted = Exclude<keyof typeof gpu, 'live' | 'peak'>;
const counted: Counted[] = ['dispatches', 'passes', 'submits', 'buffers', 'groups', 'pipelines', 'writes'];

const sizes = new WeakMap<object, number>();

function wrap(
  type: { prototype: object },
  name: string,
  after: (self: object, args: never[], made: never) => void,
) {
  const methods = type.prototype as Record<string, (...args: never[]) => unknown>;
  const original = methods[name];
  methods[name] = function (this: object, ...args) {
    const made = original.apply(this, args);
    after(this, args, made as never);
    return made;
  };
}

const count = (type: { prototype: object }, key: Counted, ...names: string[]) => {
  for (const name of names)
    wrap(type, name, () => {
      gpu[key]++;
    });
};

if (globalThis.GPUDevice) {
  wrap(GPUDevice, 'createBuffer', (_, [{ size }]: { size: number }[], buffer: object) => {
    sizes.set(buffer, size);
    gpu.buffers++;
    gpu.live += size;
    gpu.peak = Math.max(gpu.peak, gpu.live);
  });
  wrap(GPUBuffer, 'destroy', (buffer) => {
    gpu.live -= sizes.get(buffer) ?? 0;
    sizes.delete(buffer);
  });
  count(GPUQueue, 'submits', 'submit');
  count(GPUQueue, 'writes', 'writeBuffer');
  count(GPUComputePassEncoder, 'dispatches', 'dispatchWorkgroups', 'dispatchWorkgroupsIndirect');
  count(GPUCommandEncoder, 'passes', 'beginComputePass');
  count(GPUDevice, 'groups', 'createBindGroup');
  count(GPUDevice, 'pipelines', 'createComputePipeline', 'createComputePipelineAsync');
}

export const snapshot = () => ({ ...gpu });
export const since = (before: typeof gpu): Record<Counted, number> =>
  Object.fromEntries(counted.map((key) => [key, gpu[key] - before[key]])) as Record<Counted, number>;
