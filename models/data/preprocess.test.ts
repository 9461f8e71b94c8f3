import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeCodecs } from '../../tools/codecs/node.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { bytesSource, readSafetensors } from '../checkpoints/safetensors.ts';
import { defaultAugment, mirror, takeView, viewOf } from './augment.ts';
import { makeDecoder } from './decode.ts';
import type { Pixels } from './pixels.ts';
import { fitToModel, preprocess, readPreprocessing, withImageSize } from './preprocess.ts';
import { type Box, crop, Resample, resize } from './resize.ts';
import { readSprite, type SpriteCard } from './samples.ts';

const root = join(import.meta.dirname, '../..');
const reference = join(root, 'tools/reference/fixtures/images');
const read = (...path: string[]) => new Uint8Array(readFileSync(join(...path)));
const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));
const decode = makeDecoder(await nodeCodecs());
const checkpoint = await readSafetensors(bytesSource(read(reference, 'expected.safetensors')));
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The picture by formula that tools/codecs/fixtures.py resizes. */
function formula(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    data[i] = (x * 7 + y * 13 + c * 29) * (x + 3 * y + 1);
  }
  return { width, height, data };
}

describe('resize', () => {
  it('gives Pillow’s bits for every filter, scale and box', () => {
    for (const { from, to, box, resample, sha256 } of json(import.meta.dirname, 'fixtures/expected.json')
      .resizes) {
      const part: Box | undefined = box && { left: box[0], top: box[1], right: box[2], bottom: box[3] };
      const result = resize(formula(from[0], from[1]), to[0], to[1], resample, part);
      expect(digest(result.data), JSON.stringify({ from, to, box, resample })).toBe(sha256);
    }
  });

  it('gives the reference’s bits for real pictures', async () => {
    const cases = checkpoint.names().flatMap((name) => /^(.*)\/(\w+)\/(\d+)x(\d+)$/.exec(name) ?? []);
    expect(cases.length).toBeGreaterThan(5 * 10);
    for (let i = 0; i < cases.length; i += 5) {
      const [name, file, filter, width, height] = cases.slice(i, i + 5);
      const result = resize(
        await decode(read(reference, file), file),
        +width,
        +height,
        Resample[filter as 'box'],
      );
      expect(digest(result.data), name).toBe(digest(await checkpoint.bytes(name)));
    }
  });
});

describe('preprocess', () => {
  const processors: Record<string, JsonObject> = json(reference, 'processors.json');
  const files = [...new Set(checkpoint.names().map((name) => name.split('/')[0]))];
  it.each(Object.keys(processors))('equals transformers’ processor %s to the bit', async (name) => {
    for (const file of files) {
      const { width, height, data } = preprocess(
        await decode(read(reference, file), file),
        readPreprocessing(processors[name]),
      );
      expect([3, height, width]).toEqual(checkpoint.info(`${file}/${name}`).shape);
      expect(data, file).toEqual(await checkpoint.f32(`${file}/${name}`));
    }
  });

  it('equals the embedded default’s own processor', async () => {
    const config = json(root, 'models/weights/efficientnet-lite0/preprocessor_config.json');
    const { data } = preprocess(
      await decode(read(reference, 'wide.png'), 'wide.png'),
      readPreprocessing(config),
    );
    const wanted = await checkpoint.f32('wide.png/efficientnet224');
    wanted.forEach((value, i) => {
      const [c, y, x] = [Math.floor(i / 3136), Math.floor(i / 56) % 56, i % 56];
      expect(data[(c * 224 + y * 4) * 224 + x * 4]).toBe(value);
    });
  });

  it('brings resize and crop to another working size in proportion', () => {
    const bit = {
      image_processor_type: 'BitImageProcessor',
      size: { shortest_edge: 256 },
      crop_size: { height: 224, width: 224 },
    };
    expect(withImageSize(bit, 128)).toMatchObject({
      size: { shortest_edge: 146 },
      crop_size: { height: 128, width: 128 },
    });
    expect(withImageSize(bit, 224)).toBe(bit);
    expect(withImageSize({ image_processor_type: 'ViTImageProcessor' }, 64)).toMatchObject({
      size: { height: 64, width: 64 },
    });
    expect(withImageSize({ image_processor_type: 'DeiTFeatureExtractor' }, 112)).toMatchObject({
      size: { height: 128, width: 128 },
      crop_size: { height: 112, width: 112 },
    });
    const small = fitToModel(formula(80, 60), readPreprocessing(withImageSize(bit, 32)));
    expect([small.width, small.height]).toEqual([32, 32]);
  });

  it('understands sizes and names as old files write them', () => {
    const steps = (config: JsonObject) => readPreprocessing({ resample: 2, ...config });
    expect(steps({ feature_extractor_type: 'ViTFeatureExtractor', size: 64 }).resize).toEqual({
      height: 64,
      width: 64,
    });
    expect(steps({ image_processor_type: 'CLIPImageProcessorFast', size: 64, crop_size: 60 })).toMatchObject({
      resize: { shortestEdge: 64 },
      crop: { height: 60, width: 60 },
    });
    expect(steps({ image_processor_type: 'ViTImageProcessor', do_resize: false }).resize).toBeUndefined();
  });

  it.each([
    [
      { image_processor_type: 'DonutImageProcessor' },
      /"DonutImageProcessor" is not known here \(known: ViTImageProcessor/,
    ],
    [{ image_processor_type: 'ViTImageProcessor', size: { longest_edge: 3 } }, /size is/],
    [{ image_processor_type: 'ViTImageProcessor', size: { height: -1, width: 3 } }, /size is/],
    [{ image_processor_type: 'ViTImageProcessor', image_mean: [0.5] }, /image_mean/],
    [{ image_processor_type: 'ViTImageProcessor', image_std: [1, 0, 1] }, /zero/],
    [{ image_processor_type: 'ViTImageProcessor', do_pad: true }, /padding/],
    [{ image_processor_type: 'ViTImageProcessor', resample: 9 }, /no filter of Pillow/],
    [{ size: { height: 8, width: 8 } }, /image_mean is undefined/],
  ])('refuses %j', (config, message) => {
    expect(() => readPreprocessing(config)).toThrow(message);
  });

  it('writes into a given place, and only where it fits', () => {
    const steps = readPreprocessing({ image_processor_type: 'ViTImageProcessor', size: 4 });
    const place = new Float32Array(48);
    expect(preprocess(formula(9, 9), steps, place).data).toBe(place);
    expect(() => preprocess(formula(9, 9), steps, new Float32Array(9))).toThrow(/does not fit/);
  });
});

describe('augmentation', () => {
  it('gives each view by seed, sample and number alone, inside the picture', () => {
    const side = fc.integer({ min: 1, max: 400 });
    fc.assert(
      fc.property(side, side, fc.integer(), fc.nat(9999), fc.nat(20), (width, height, seed, sample, k) => {
        const view = viewOf(width, height, defaultAugment, seed, sample, k);
        expect(viewOf(width, height, defaultAugment, seed, sample, k)).toEqual(view);
        expect(view.left >= 0 && view.top >= 0 && view.width >= 1 && view.height >= 1).toBe(true);
        expect(view.left + view.width <= width && view.top + view.height <= height).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('flips about half, covers the asked area and differs from view to view', () => {
    const views = Array.from({ length: 2000 }, (_, i) => viewOf(300, 200, defaultAugment, 7, i >> 2, i & 3));
    expect(views.filter((v) => v.mirrored).length / 2000).toBeCloseTo(0.5, 1);
    const areas = views.map((v) => (v.width * v.height) / 60000);
    expect(Math.min(...areas)).toBeGreaterThan(0.5);
    expect(areas.reduce((a, b) => a + b) / 2000).toBeCloseTo(0.78, 1);
    expect(new Set(views.map((v) => JSON.stringify(v))).size).toBeGreaterThan(1900);
    const still = viewOf(300, 200, { flip: false, minArea: 1, maxStretch: 1 }, 7, 1, 1);
    expect(still).toEqual({ left: 0, top: 0, width: 300, height: 200, mirrored: false });
  });

  it('cuts and mirrors', () => {
    const image = formula(5, 4);
    expect(mirror(mirror(image))).toEqual(image);
    const view = { left: 1, top: 2, width: 3, height: 2, mirrored: true };
    expect(takeView(image, view)).toEqual(mirror(crop(image, 1, 2, 3, 2)));
  });
});

const sprite = join(root, 'public/samples/fashion-mnist.png');
describe.skipIf(!existsSync(sprite))('the bundled sprite', () => {
  it('becomes labelled pictures with their split', async () => {
    const card: SpriteCard = json(root, 'public/samples/fashion-mnist.json');
    const found = readSprite(read(sprite), card);
    expect(found.samples).toHaveLength(1200);
    expect(found.classes).toEqual(card.classes);
    expect(found.samples.filter((s) => s.split === 'test')).toHaveLength(200);
    const { entry, label, path } = found.samples[found.samples.length - 1];
    expect([path, label]).toEqual(['train/Ankle boot/099.png', 9]);
    const tile = await decode(await entry.bytes(), path);
    expect([tile.width, tile.height]).toEqual([28, 28]);
    const whole = await decode(read(sprite), 'sprite');
    expect(tile).toEqual(crop(whole, 99 * 28, 9 * 28, 28, 28));
    expect(() => readSprite(read(sprite), { ...card, tile: 27 })).toThrow(/not 120 × 10 tiles of 27/);
  });
});
