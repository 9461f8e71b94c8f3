import { gelu, linear, relu, type Tensor } from '../../gpu-shaders/index.ts';
import type { BranchCard, Setting, Settings } from '../describe.ts';
import { type AddedParameter, type AttachmentScope, MethodError, type ModelDescription } from './method.ts';

/** Settings that the adapters of residual branches share. */
export const bottleneckSettings: Record<'width' | 'scale' | 'dropout' | 'lastBlocks', Setting> = {
  width: {
    key: 'bottleneck',
    label: 'Bottleneck width',
    kind: 'integer',
    default: 64,
    min: 1,
    max: 512,
    step: 1,
    scale: 'log',
    primary: true,
    live: false,
    help: 'Features between the two layers of an adapter: more can change more and cost more at every use.',
  },
  scale: {
    key: 'scale',
    label: 'Adapter scale',
    kind: 'number',
    default: 0.1,
    min: 0,
    max: 4,
    step: 0.05,
    primary: true,
    live: true,
    help: 'Multiplies what the adapters add; 0 shows the frozen backbone under the trained head.',
  },
  dropout: {
    key: 'adapter_dropout',
    label: 'Dropout',
    kind: 'number',
    default: 0.1,
    min: 0,
    max: 0.9,
    step: 0.05,
    primary: false,
    live: false,
    help: 'Share of the bottleneck that a training step leaves out.',
  },
  lastBlocks: {
    key: 'last_blocks',
    label: 'Last blocks',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 200,
    step: 1,
    primary: true,
    live: false,
    help: 'Only so many of the last blocks get adapters, which lets the blocks before them be computed once; 0 is all.',
  },
};

/**
 * Residual branches of the last blocks that adapters go to: those of `kinds`, or a convolutional backbone's own where
 * it has none of these. Throws `MethodError` where there is none.
 */
export function branchTargets(
  model: ModelDescription,
  settings: Settings,
  method: string,
  kinds: readonly BranchCard['kind'][],
): BranchCard[] {
  const named = model.branches.filter((b) => kinds.includes(b.kind));
  const all = named.length ? named : model.branches.filter((b) => b.kind === 'conv');
  if (!all.length)
    throw new MethodError(
      `${method} goes beside residual branches, and this backbone has none of them. Choose a method that goes beside layers, such as LoRA.`,
    );
  return inLastBlocks(all, model.blocks, settings);
}

/** Those of the last blocks that the settings name. Throws `MethodError` where there is none. */
export function inLastBlocks<C extends { block: number }>(
  cards: readonly C[],
  blocks: number,
  settings: Settings,
): C[] {
  const last = settings.last_blocks as number;
  const found = last ? cards.filter((c) => c.block >= blocks - last) : [...cards];
  if (!found.length)
    throw new MethodError(
      `The last ${last} of ${blocks} blocks have no place for an adapter. Choose more blocks, or 0 for all.`,
    );
  return found;
}

/** PyTorch's default start of a linear layer's weight: uniform in ±1/√fan_in. */
export function kaiming(count: number, inputs: number): AddedParameter['initial'] {
  const bound = 1 / Math.sqrt(inputs);
  return (random) => Float32Array.from({ length: count }, () => (2 * random() - 1) * bound);
}

export const zerosOf = (count: number) => () => new Float32Array(count);

/** Names of the tensors of one adapter. */
export const bottleneckNames = (path: string) => ({
  down: `${path}.adapter.down.weight`,
  downBias: `${path}.adapter.down.bias`,
  up: `${path}.adapter.up.weight`,
  upBias: `${path}.adapter.up.bias`,
});

/** A bottleneck of `width` on `features`: down drawn at random, up and both biases zero. */
export function bottleneckParameters(path: string, features: number, width: number): AddedParameter[] {
  const names = bottleneckNames(path);
  return [
    { name: names.down, shape: [width, features], initial: kaiming(width * features, features) },
    { name: names.downBias, shape: [width], initial: zerosOf(width) },
    { name: names.up, shape: [features, width], initial: zerosOf(features * width) },
    { name: names.upBias, shape: [features], initial: zerosOf(features) },
  ];
}

/** up(act(down(x))) on the last axis of x, which on NHWC is a pair of 1×1 convolutions. */
export function bottleneck(
  own: AttachmentScope,
  path: string,
  x: Tensor,
  act: 'relu' | 'gelu',
  dropout: number,
): Tensor {
  const names = bottleneckNames(path);
  const down = linear(x, own.parameter(names.down), own.parameter(names.downBias));
  const inner = own.dropout(act === 'relu' ? relu(down) : gelu(down), dropout);
  return linear(inner, own.parameter(names.up), own.parameter(names.upBias));
}
