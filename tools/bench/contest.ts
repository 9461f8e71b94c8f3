import { fileURLToPath } from 'node:url';
import type { Entry } from './browser.ts';
import { knownLosses, type ModelName, modelFlops, type Spec, specOf } from './model.ts';
import { type Peer, peerPage, peerTitles } from './peers.ts';

export type ContestName = ModelName | 'lite';
export const contestNames: readonly ContestName[] = ['vit', 'bert', 'lite'];

/** One model's step, in every engine. */
export interface Contest {
  title: string;
  /** Model operations of a step; null where ours alone runs and counts for itself. */
  flops: number | null;
  /** Losses that every engine must give; empty where none are known. */
  known: readonly number[];
  /** The floor first, then ours, then the peers. */
  entries: Entry[];
}

export interface Sizes {
  full: boolean;
  depth?: number;
  batch?: number;
}

export interface Request {
  steps: number;
  sizes: Sizes;
  peers: readonly Peer[];
  profile: boolean;
}

const page = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Weights that pages may fetch. */
export const weightsFolder = page('../../models/weights');

export function contestOf(name: ContestName, request: Request): Contest {
  return name === 'lite' ? liteContest(request) : encoderContest(name, request);
}

function encoderContest(model: ModelName, { steps, sizes, peers, profile }: Request): Contest {
  const spec = specOf(model, sizes);
  const shape = [spec.batch * spec.tokens, spec.dim, spec.mlp];
  const ours = (name: string, variant: { narrow: boolean; cached: boolean }): Entry => ({
    name,
    file: page('lora.page.ts'),
    args: { spec, steps, profile, ...variant },
  });
  const peerArguments = { model, ...sizes, steps, device: 'webgpu' };
  const flops = modelFlops(spec).step;
  return {
    title: `${model}: ${spec.depth} blocks, batch ${spec.batch}, ${(flops / 1e9).toFixed(3)} GFLOP a step`,
    flops,
    known: isReduced(spec) ? knownLosses[model] : [],
    entries: [
      { name: 'floor', file: page('floor.page.ts'), args: { shape, steps } },
      ours('ours', { narrow: false, cached: false }),
      ours('ours, unread rows left out', { narrow: true, cached: false }),
      ours('ours, that and the frozen prefix cached', { narrow: true, cached: true }),
      ...peers.map((p) => ({ name: peerTitles[p], file: peerPage(p), args: peerArguments })),
    ],
  };
}

/** The known losses were taken at these sizes. */
function isReduced(spec: Spec): boolean {
  const { depth, batch } = specOf(spec.model);
  return spec.depth === depth && spec.batch === batch;
}

/** The default backbone has no form in the peers' pages. */
function liteContest({ steps, profile }: Request): Contest {
  const ours = (name: string, cached: boolean): Entry => ({
    name,
    file: page('lite.page.ts'),
    args: { steps, cached, profile },
  });
  return {
    title: 'lite: EfficientNet-Lite0 at 128 px, default LoRA, batch 8',
    flops: null,
    known: [],
    entries: [
      // Its last block's projection: 8 pictures of 4 x 4 places.
      { name: 'floor', file: page('floor.page.ts'), args: { shape: [128, 1152, 192], steps } },
      ours('ours, frozen prefix cached', true),
      ours('ours, everything in each step', false),
    ],
  };
}
