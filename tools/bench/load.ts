/**
 * What loading a backbone takes of the processor's memory: `npx tsx tools/bench/load.ts [--layers 12] [--vocabulary 30522]`.
 * Writes a BERT of random weights in two shards, about 109 million parameters by default, loads it in a process of its
 * own towards a GPU that keeps nothing, and prints the peak above what the process took before. Ends with 1 where
 * that is over 1.3 times the larger shard.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Gpu, State } from '../../gpu-shaders/index.ts';
import { openBackbone } from '../cli/backbone.ts';

const allowed = 1.3;
const width = 768;

function shapes(layers: number, vocabulary: number): [string, number[]][] {
  const layer = (i: number): [string, number[]][] => {
    const at = `bert.encoder.layer.${i}`;
    const linear = (name: string, out: number, from: number): [string, number[]][] => [
      [`${at}.${name}.weight`, [out, from]],
      [`${at}.${name}.bias`, [out]],
    ];
    return [
      ...['query', 'key', 'value'].flatMap((name) => linear(`attention.self.${name}`, width, width)),
      ...linear('attention.output.dense', width, width),
      ...norm(`${at}.attention.output.LayerNorm`),
      ...linear('intermediate.dense', 4 * width, width),
      ...linear('output.dense', width, 4 * width),
      ...norm(`${at}.output.LayerNorm`),
    ];
  };
  const norm = (name: string): [string, number[]][] => [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
  const embeddings = 'bert.embeddings';
  return [
    [`${embeddings}.word_embeddings.weight`, [vocabulary, width]],
    [`${embeddings}.position_embeddings.weight`, [512, width]],
    [`${embeddings}.token_type_embeddings.weight`, [2, width]],
    ...norm(`${embeddings}.LayerNorm`),
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    ['bert.pooler.dense.weight', [width, width]],
    ['bert.pooler.dense.bias', [width]],
  ];
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Writes the folder without ever holding a shard: this process's memory is not what is measured, but may be short. */
function write(folder: string, layers: number, vocabulary: number): void {
  const all = shapes(layers, vocabulary);
  const total = all.reduce((sum, [, shape]) => sum + product(shape), 0);
  const shards: [string, number[]][][] = [[], []];
  let sum = 0;
  for (const tensor of all) {
    shards[sum < total / 2 ? 0 : 1].push(tensor);
    sum += product(tensor[1]);
  }
  const noise = new Uint8Array(
    Float32Array.from({ length: 2 ** 18 }, (_, i) => Math.sin(i * 1.7) * 0.02).buffer,
  );
  const weightMap: Record<string, string> = {};
  for (const [i, tensors] of shards.entries()) {
    const name = `model-0000${i + 1}-of-00002.safetensors`;
    let at = 0;
    const header = Object.fromEntries(
      tensors.map(([tensor, shape]) => {
        weightMap[tensor] = name;
        const begin = at;
        at += product(shape) * 4;
        return [tensor, { dtype: 'F32', shape, data_offsets: [begin, at] }];
      }),
    );
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    const file = openSync(join(folder, name), 'w');
    writeSync(file, length);
    writeSync(file, json);
    for (let left = at; left > 0; left -= noise.length)
      writeSync(file, noise, 0, Math.min(left, noise.length));
    closeSync(file);
  }
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  const config = {
    model_type: 'bert',
    architectures: ['BertModel'],
    hidden_size: width,
    num_hidden_layers: layers,
    num_attention_heads: 12,
    intermediate_size: 4 * width,
    vocab_size: vocabulary,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-12,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}

/** A GPU whose buffers are counted and not kept. */
function sink(): { gpu: Gpu; written: () => number } {
  let written = 0;
  const gpu = {
    maxBinding: 2 ** 27,
    buffer: () => ({ destroy: () => undefined }),
    device: {
      limits: { maxBufferSize: 2 ** 31 },
      queue: {
        writeBuffer: (_: unknown, __: number, data: ArrayBufferView) => {
          written += data.byteLength;
        },
      },
    },
  };
  return { gpu: gpu as unknown as Gpu, written: () => written };
}

const peak = () => process.resourceUsage().maxRSS * 1024;

async function measure(folder: string): Promise<void> {
  const { gpu, written } = sink();
  const state = new State(gpu, []);
  const before = peak();
  const start = performance.now();
  const { model } = await openBackbone(folder);
  for (const { path } of model.parameters)
    await state.setFrozenPieces(path, model.bytesOf(path), model.pieces(path));
  const taken = { before, after: peak(), written: written(), parameters: model.parameterCount };
  process.stdout.write(JSON.stringify({ ...taken, seconds: (performance.now() - start) / 1000 }));
}

function main(): void {
  const { values } = parseArgs({
    options: {
      layers: { type: 'string', default: '12' },
      vocabulary: { type: 'string', default: '30522' },
      measure: { type: 'string' },
    },
  });
  if (values.measure) return void measure(values.measure);
  const folder = mkdtempSync(join(tmpdir(), 'graft-load-'));
  try {
    write(folder, Number(values.layers), Number(values.vocabulary));
    const shards = [1, 2].map((i) => statSync(join(folder, `model-0000${i}-of-00002.safetensors`)).size);
    const said = execFileSync(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(import.meta.url), '--measure', folder],
      { encoding: 'utf8' },
    );
    const { before, after, written, parameters, seconds } = JSON.parse(said) as Record<string, number>;
    const MB = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
    const ratio = (after - before) / Math.max(...shards);
    process.stdout.write(
      `${(parameters / 1e6).toFixed(1)} M parameters, shards of ${shards.map(MB).join(' and ')}; ${MB(written)} went to the GPU in ${seconds.toFixed(1)} s.\n` +
        `Peak of the process ${MB(after)}, ${MB(before)} of it before: loading took ${MB(after - before)}, ${ratio.toFixed(2)} of the larger shard (allowed ${allowed}).\n`,
    );
    process.exitCode = ratio > allowed ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

main();
