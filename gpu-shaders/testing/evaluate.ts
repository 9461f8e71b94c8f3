import { compile } from '../compile/build.ts';
import type { Tensor } from '../graph/tensor.ts';
import { State } from '../state.ts';
import { testGpu } from './dawn.ts';

/** Values of traced outputs that depend on constants (and on inputs given here) alone. Words are as stored. */
export async function evaluate<N extends string>(
  outputs: Record<N, Tensor>,
  inputs: Readonly<Record<string, Float32Array | Uint32Array | Int32Array>> = {},
): Promise<Record<N, Float32Array>> {
  const state = new State(await testGpu(), []);
  const program = await compile(state, { label: 'evaluate', outputs });
  for (const [name, data] of Object.entries(inputs)) program.write(name, data);
  program.run();
  const values = await program.collect(Object.keys(outputs) as N[]);
  program.destroy();
  state.destroy();
  return values;
}

/** The words of a u32 output, which `collect` hands over as f32. */
export const asU32 = (words: Float32Array): number[] => [
  ...new Uint32Array(words.buffer, words.byteOffset, words.length),
];
