import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Entry, runTogether } from './browser.ts';
import type { FloorResult } from './floor.page.ts';
import type { Measured } from './measure.ts';
import { type ModelName, type Spec, specOf } from './model.ts';
import { installPeers, type Peer, peerNames, peerPage, peersMissing, peerTitles } from './peers.ts';
import { disagreement, report } from './report.ts';

const help = `npm run bench -- [vit|bert|lite]… [--full] [--steps=5] [--peers=jax,tfjs|none]

One LoRA training step of each model (vit and bert), in our engine and the peers', taking turns in one browser.
  vit, bert       ViT-Tiny/16 at 224 px, 4 blocks, batch 4; a small BERT, 2 layers, batch 4, 128 tokens
  --full          12 blocks and 6 layers, batch 8
  --depth, --batch  other sizes
  --steps=N       steps of each engine, the first two being warm-up (5)
  --peers=…       which peers run beside ours; none for ours and the floor alone
  --out=FILE      everything measured, as JSON

Exit codes: 0 losses agree, 1 they do not, 2 the command line is wrong.`;

interface Request {
  models: ModelName[];
  peers: Peer[];
  steps: number;
  sizes: { full: boolean; depth?: number; batch?: number };
  out?: string;
}

function request(argv: readonly string[]): Request | null {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      full: { type: 'boolean', default: false },
      depth: { type: 'string' },
      batch: { type: 'string' },
      steps: { type: 'string', default: '5' },
      peers: { type: 'string', default: peerNames.join(',') },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const models = positionals.length ? positionals : ['vit', 'bert'];
  const peers = values.peers === 'none' ? [] : values.peers.split(',');
  const steps = Number(values.steps);
  const wrong =
    models.some((m) => m !== 'vit' && m !== 'bert') ||
    peers.some((p) => !peerNames.includes(p as Peer)) ||
    !(steps >= 1);
  if (wrong || values.help) return null;
  const number = (text?: string) => (text === undefined ? undefined : Number(text));
  return {
    models: models as ModelName[],
    peers: peers as Peer[],
    steps,
    sizes: { full: values.full, depth: number(values.depth), batch: number(values.batch) },
    out: values.out,
  };
}

const pageFile = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Ours in its variants, the peers, and the floor. */
function entriesOf(spec: Spec, { peers, steps, sizes }: Request): Entry[] {
  const ours = (name: string, cached: boolean): Entry => ({
    name,
    file: pageFile('lora.page.ts'),
    args: { spec, steps, cached },
  });
  const peerArgs = { model: spec.model, ...sizes, steps, device: 'webgpu' };
  return [
    { name: 'floor', file: pageFile('floor.page.ts'), args: { spec, steps } },
    ours('ours', false),
    ours('ours, frozen prefix cached', true),
    ...peers.map((p) => ({ name: peerTitles[p], file: peerPage(p), args: peerArgs })),
  ];
}

async function main(): Promise<number> {
  let asked: Request | null;
  try {
    asked = request(process.argv.slice(2));
  } catch (error) {
    console.error((error as Error).message);
    asked = null;
  }
  if (!asked) {
    console.error(help);
    return process.argv.includes('--help') ? 0 : 2;
  }
  const missing = asked.peers.length ? peersMissing() : null;
  if (missing) {
    console.log(missing);
    asked.peers = [];
  }
  if (asked.peers.length) installPeers();
  let agree = true;
  const all = [];
  for (const model of asked.models) {
    const spec = specOf(model, asked.sizes);
    const entries = entriesOf(spec, asked);
    const [floor, ...engines] = (await runTogether(entries)) as [FloorResult, ...Measured[]];
    const named = engines.map((e, i) => ({ name: entries[i + 1].name, ...e }));
    console.log(report(spec, floor, named));
    agree &&= disagreement(spec, named) <= 1e-3;
    all.push({ spec, floor, engines: named });
  }
  if (asked.out) {
    mkdirSync(pageFile('../../.cache'), { recursive: true });
    const machine = { date: new Date().toISOString(), cpu: cpus()[0].model, cores: cpus().length };
    writeFileSync(asked.out, `${JSON.stringify({ ...machine, results: all }, null, 1)}\n`);
  }
  return agree ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    console.error(`bench: ${error.message}`);
    process.exit(1);
  },
);
