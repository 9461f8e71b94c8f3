#!/usr/bin/env -S npx tsx
import { parseArgs } from 'node:util';
import { State } from '../../gpu-shaders/index.ts';
import { uniform } from '../../models/data/hash.ts';
import { linearProbe } from '../../models/methods/linearProbe.ts';
import { openPrefix } from '../../workers/session/prefix.ts';
import { frozenWeights, PREFIX_BATCH, type RunShape } from '../../workers/session/programs.ts';
import { defaultSettings } from '../../workers/settings.ts';
import { openBackbone } from '../cli/backbone.ts';
import { openGpu, withVulkan } from '../cli/gpu.ts';
import { openOnnx } from '../onnx/node.ts';

const help = `npx tsx tools/bench/prefix.ts [--backbone NAME|FOLDER] [--side 128] [--rounds 3]

Seconds a picture of a frozen backbone through shaders and through ONNX Runtime's WASM, by turns; the best round of
each counts, and the largest relative difference of their features is printed beside them.`;

const { values: args } = parseArgs({
  options: {
    backbone: { type: 'string', default: 'vit-s14-saliency' },
    side: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '3' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

async function main(): Promise<void> {
  if (args.help) return console.log(help);
  withVulkan();
  const side = Number(args.side);
  const { model, title } = await openBackbone(args.backbone);
  const settings = { ...defaultSettings(linearProbe, model, PREFIX_BATCH), image_size: side };
  const shape: RunShape = { model, attachment: linearProbe.attach(model, settings), classes: 2, settings };
  const gpu = await openGpu();
  const state = new State(gpu, []);
  for (const path of frozenWeights(shape)) state.setFrozen(path, await model.load(path));
  const samples = Array.from({ length: PREFIX_BATCH }, (_, k) => ({
    pixels: Float32Array.from({ length: 3 * side * side }, (_, i) => 2 * uniform(k, i) - 1),
  }));
  console.log(`${title} at ${side} px, ${PREFIX_BATCH} pictures a batch`);
  const ways = [];
  for (const place of ['gpu', 'processor'] as const) {
    const from = performance.now();
    const prefix = await openPrefix({ gpu, state, shape, onnx: openOnnx(), place });
    const features = (await prefix.compute(samples)).get('features')!;
    ways.push({ prefix, features, open: performance.now() - from, best: Number.POSITIVE_INFINITY });
  }
  for (let round = 0; round < Number(args.rounds); round++)
    for (const way of ways) {
      const from = performance.now();
      await way.prefix.compute(samples);
      way.best = Math.min(way.best, performance.now() - from);
    }
  for (const { prefix, open, best } of ways)
    console.log(
      `  ${prefix.choice.by.padEnd(56)} ${(best / 1000 / PREFIX_BATCH).toFixed(4)} s a picture, ${(open / 1000).toFixed(1)} s to open`,
    );
  const [a, b] = ways.map((w) => w.features);
  const off = Math.max(...a.map((v, i) => Math.abs(v - b[i]))) / Math.max(...a.map(Math.abs));
  console.log(
    `  ${(ways[0].best / ways[1].best).toFixed(1)} times as fast; features differ by ${off.toExponential(1)}`,
  );
}

main().then(
  // Dawn keeps threads of its own that would hold the process open.
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`prefix: ${error.stack}\n`);
    process.exit(1);
  },
);
