import type { Base, ModelDescription } from './method.ts';
import { noBase } from './start.ts';

/** A model of nothing, to be filled with what a test needs. */
export const bareModel: ModelDescription = {
  modules: [],
  blocks: 1,
  parameters: [],
  branches: [],
  attentions: [],
  norms: [],
};

/** A frozen model of these weights, which answers nothing else. */
export function baseOf(weights: ReadonlyMap<string, Float32Array>): Base {
  return {
    ...noBase,
    async weight(path) {
      const found = weights.get(path);
      if (!found) throw new Error(`The test has no weight '${path}'.`);
      return found;
    },
  };
}
