import { hash32, hashText, uniform } from '../data/hash.ts';
import type { AddedBuffer, AddedParameter, Base } from './method.ts';

/** A model that can be asked for nothing: for tensors whose start depends on no weight and no data. */
export const noBase: Base = {
  weight: refuse,
  inputMoments: refuse,
  gradients: refuse,
};

async function refuse(): Promise<never> {
  throw new Error('These start values depend on the frozen model, which is not at hand here.');
}

/** The start value of a tensor that a method adds: a function of the seed, its name and the frozen model. */
export async function startValue(
  tensor: Pick<AddedParameter | AddedBuffer, 'name' | 'initial'>,
  seed: number,
  base: Base,
): Promise<Float32Array> {
  const stream = hash32(seed, hashText(tensor.name));
  let n = 0;
  return tensor.initial(() => uniform(stream, n++), base);
}
