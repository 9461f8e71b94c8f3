import { parseArgs } from 'node:util';
import type { ModelName, Sizes } from './model.ts';
import { type Peer, peerNames } from './peers.ts';

export const help = `npm run bench -- [what] [options]

What, one or several; vit and bert where none is named:
  --model NAME    one LoRA training step beside jax-js and TensorFlow.js in one browser: vit (ViT-Tiny/16 at 224 px)
                  or bert (a small BERT); or lite: EfficientNet-Lite0 at 224 px, beside ONNX Runtime
  --epochs        a second epoch over the cached prefix, adapters in the last third of the blocks
  --growth        how a step's time grows with batch, tokens, rank and blocks
  --photos DIR    from a folder of photos to a trained adapter, under Node

Shapes of vit and bert: 4 blocks and batch 4, 2 blocks and batch 4; --full for 12 and 8, 6 and 8; or any by
  --blocks, --dim, --heads, --tokens, --batch, --rank

  --steps N       steps of each engine, the first two being warm-up (5)
  --peers NAMES   ${peerNames.join(',')}, or none
  --memory MB     ours once more, its intermediate values kept within this by computing some again
  --profile       our step's GPU time by kernel
  --json FILE     everything measured
  --write         puts what was measured into docs/benchmarks.json, and writes docs/benchmarks.md from it
  --render        writes docs/benchmarks.md from docs/benchmarks.json; measures nothing
  --bundle-gpu    writes .gpu/bench.mjs, the program for a machine with a GPU (tools/bench/gpu/README.md)
  --take-gpu FILE puts what that program measured into docs/benchmarks.md

Exit codes: 0 losses agree, 1 they do not or something failed, 2 the command line is wrong.`;

export type Workload = ModelName | 'lite';
const workloads: readonly Workload[] = ['vit', 'bert', 'lite'];

export interface Command {
  models: Workload[];
  epochs: boolean;
  growth: boolean;
  photos?: string;
  full: boolean;
  sizes: Sizes;
  steps: number;
  peers: Peer[];
  profile: boolean;
  memory?: number;
  json?: string;
  write: boolean;
  render: boolean;
  bundleGpu: boolean;
  takeGpu?: string;
}

/** The command line is wrong, or asks for help. */
export class CommandError extends Error {
  override name = 'CommandError';
}

const sizeNames = ['blocks', 'dim', 'heads', 'tokens', 'batch', 'rank'] as const;

/** Throws `CommandError`; with an empty message where help is asked for. */
export function commandOf(argv: readonly string[]): Command {
  const values = parsed(argv);
  if (values.help) throw new CommandError('');
  const one = (name: string) => values[name] as string | undefined;
  const whole = (name: string, text: string) => {
    const n = Number(text);
    if (!Number.isInteger(n) || n < 1)
      throw new CommandError(`--${name} takes a whole number from 1 on, not '${text}'.`);
    return n;
  };
  const sizes: Sizes = {};
  for (const name of sizeNames) {
    const text = one(name);
    if (text !== undefined) sizes[name] = whole(name, text);
  }
  const listed = (name: string, given: readonly string[], known: readonly string[]) => {
    for (const g of given)
      if (!known.includes(g)) throw new CommandError(`--${name} knows ${known.join(', ')}, not '${g}'.`);
  };
  const models = (values.model ?? []) as string[];
  listed('model', models, workloads);
  const peers = one('peers') === 'none' ? [] : (one('peers') ?? peerNames.join(',')).split(',');
  listed('peers', peers, peerNames);
  const photos = one('photos');
  const other = Boolean(values.epochs || values.growth || photos);
  return {
    models: models.length || other ? (models as Workload[]) : ['vit', 'bert'],
    epochs: Boolean(values.epochs),
    growth: Boolean(values.growth),
    ...(photos === undefined ? {} : { photos }),
    full: Boolean(values.full),
    sizes,
    steps: whole('steps', one('steps') ?? '5'),
    peers: peers as Peer[],
    profile: Boolean(values.profile),
    ...(one('memory') === undefined ? {} : { memory: whole('memory', one('memory')!) }),
    ...(one('json') === undefined ? {} : { json: one('json') }),
    write: Boolean(values.write),
    render: Boolean(values.render),
    bundleGpu: Boolean(values['bundle-gpu']),
    ...(one('take-gpu') === undefined ? {} : { takeGpu: one('take-gpu') }),
  };
}

function parsed(argv: readonly string[]): Record<string, string | string[] | boolean | undefined> {
  const flag = { type: 'boolean' } as const;
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        model: { type: 'string', multiple: true },
        epochs: flag,
        growth: flag,
        photos: text,
        full: flag,
        ...Object.fromEntries(sizeNames.map((name) => [name, text])),
        steps: text,
        peers: text,
        profile: flag,
        memory: text,
        json: text,
        write: flag,
        render: flag,
        'bundle-gpu': flag,
        'take-gpu': text,
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values as Record<string, string | string[] | boolean | undefined>;
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}
