import { create, globals } from 'webgpu';
import { Gpu } from '../device.ts';

let instance: GPU | undefined;
let shared: Promise<Gpu> | undefined;

/** One device for all tests of a process, from Dawn. */
export function testGpu(): Promise<Gpu> {
  Object.assign(globalThis, globals);
  // Dawn's instance must outlive its devices, so the module holds it.
  instance ??= create([]);
  shared ??= Gpu.open(instance);
  return shared;
}
