import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  compile,
  copy,
  isParameter,
  nodesOf,
  type ParameterAttrs,
  State,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { type HuggingFaceFolder, openFolder } from '../checkpoints/folder.ts';
import { bytesSource, type Checkpoint, readSafetensors } from '../checkpoints/safetensors.ts';
import type { DiffusersWeights } from './model.ts';

const root = new URL('../../', import.meta.url);
const source = (path: string) =>
  bytesSource(new Uint8Array(readFileSync(fileURLToPath(new URL(path, root)))));
const fixture = (name: string) => `tools/reference/fixtures/${name}`;

/** A fixture's folder in diffusers' layout, or another by its path from the repository's root. */
export function folderOf(name: string, folder = fixture(name)): Promise<HuggingFaceFolder> {
  const files = readdirSync(fileURLToPath(new URL(folder, root))).filter((f) =>
    /^(config\.json|diffusion_pytorch_model\.safetensors)$/.test(f),
  );
  return openFolder(new Map(files.map((f) => [f, source(`${folder}/${f}`)] as const)));
}

export const expectedOf = (name: string): Promise<Checkpoint> =>
  readSafetensors(source(`${fixture(name)}/expected.safetensors`));

/** Values of traced outputs over frozen weights. */
export async function valuesOf<N extends string>(
  weights: DiffusersWeights,
  outputs: Readonly<Record<N, Tensor>>,
  inputs: Readonly<Record<string, Float32Array | Uint32Array>>,
): Promise<Record<N, Float32Array>> {
  const state = new State(await testGpu(), []);
  const read = nodesOf(Object.values<Tensor>(outputs))
    .flatMap((n) => n.outputs)
    .filter(isParameter);
  for (const name of new Set(read.map((t) => (t.node.attrs as ParameterAttrs).name)))
    state.setFrozen(name, await weights.load(name));
  const names = Object.keys(outputs) as N[];
  const copies = Object.fromEntries(names.map((n) => [n, copy(outputs[n])]));
  const program = await compile(state, { label: 'test', outputs: copies });
  for (const [name, data] of Object.entries(inputs)) program.write(name, data);
  program.run();
  const found = await program.collect(names);
  program.destroy();
  state.destroy();
  return found;
}
