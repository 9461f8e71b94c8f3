import { expect } from 'vitest';
import { input, type Tensor } from '../../gpu-shaders/index.ts';
import type { Checkpoint } from '../checkpoints/safetensors.ts';
import type { Model } from '../model.ts';

/** The fixtures of `tools/reference/image_families.py`, at least two configurations of a family. */
export const transformerFixtures = [
  'deit-tiny',
  'deit-teacher-tiny',
  'clip-tiny',
  'clip-eos-tiny',
  'clip-classifier-tiny',
  'clip-text-tiny',
  'siglip-tiny',
  'siglip-wide-tiny',
  'siglip-classifier-tiny',
];
export const windowFixtures = [
  'swin-tiny',
  'swin-padded-tiny',
  'tinyvit-tiny',
  'tinyvit-original-tiny',
  'mobile-sam-tiny',
  'mobile-sam-wide-tiny',
];
export const convolutionFixtures = [
  'convnext-tiny',
  'convnext-plain-tiny',
  'convnextv2-tiny',
  'convnextv2-deep-tiny',
  'resnet-basic-tiny',
  'resnet-bottleneck-tiny',
  'resnet-early-tiny',
  'mobilenetv2-tiny',
  'mobilenetv2-dilated-tiny',
  'efficientnet-tiny',
  'efficientnet-max-tiny',
];
export const imageFixtures = [...transformerFixtures, ...windowFixtures, ...convolutionFixtures];

/** What PyTorch calls our inputs. */
const theirs: Readonly<Record<string, string>> = {
  pixels: 'pixel_values',
  ids: 'input_ids',
  mask: 'attention_mask',
};

/** Largest difference over the largest magnitude. */
export function relative(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((n, x) => Math.max(n, Math.abs(x)), 0);
  return actual.reduce((n, x, i) => Math.max(n, Math.abs(x - expected[i])), 0) / scale;
}

/** A fixture's inputs as a trace takes them, and their values. */
export async function given(model: Model, expected: Checkpoint, variant: string) {
  const inputs: Record<string, Tensor> = {};
  const values: Record<string, Float32Array | Uint32Array> = {};
  for (const { name, dtype } of model.sampleInputs(model.backbone.size(model.config).default)) {
    const at = variant + theirs[name];
    inputs[name] = input(name, expected.info(at).shape, { sample: true, dtype });
    const data = await expected.f32(at);
    values[name] = dtype === 'u32' ? Uint32Array.from(data) : data;
  }
  return { inputs, values };
}
