import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runTogether } from './browser.ts';
import { type ContestName, contestNames, contestOf, type Request, weightsFolder } from './contest.ts';
import type { FloorResult } from './floor.page.ts';
import type { Measured } from './measure.ts';
import { installPeers, type Peer, peerNames, peersMissing } from './peers.ts';
import { disagreement, report } from './report.ts';

const help = `npm run bench -- [vit|bert|lite]… [--full] [--steps=5] [--peers=jax,tfjs|none] [--profile]

One LoRA training step of each model, in our engine and the peers', taking turns in one browser.
  vit, bert       ViT-Tiny/16 at 224 px, 4 blocks, batch 4; a small BERT, 2 layers, batch 4, 128 tokens (the default)
  lite            EfficientNet-Lite0 at 128 px, batch 8; ours alone
  --full          12 blocks and 6 layers, batch 8
  --depth, --batch  other sizes
  --steps=N       steps of each engine, the first two being warm-up (5)
  --peers=…       which peers run beside ours; none for ours and the floor alone
  --profile       our step's GPU time by kernel
  --out=FILE      everything measured, as JSON

Exit codes: 0 losses agree, 1 they do not, 2 the command line is wrong.`;

interface CommandLine extends Request {
  contests: ContestName[];
  out?: string;
}

function commandLine(argv: readonly string[]): CommandLine | null {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      full: { type: 'boolean', default: false },
      depth: { type: 'string' },
      batch: { type: 'string' },
      steps: { type: 'string', default: '5' },
      peers: { type: 'string', default: peerNames.join(',') },
      profile: { type: 'boolean', default: false },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const contests = (positionals.length ? positionals : ['vit', 'bert']) as ContestName[];
  const peers = (values.peers === 'none' ? [] : values.peers.split(',')) as Peer[];
  const number = (text?: string) => (text === undefined ? undefined : Number(text));
  const steps = Number(values.steps);
  const right =
    contests.every((c) => contestNames.includes(c)) &&
    peers.every((p) => peerNames.includes(p)) &&
    steps >= 1 &&
    !values.help;
  const sizes = { full: values.full, depth: number(values.depth), batch: number(values.batch) };
  return right ? { contests, peers, steps, sizes, profile: values.profile, out: values.out } : null;
}

async function main(): Promise<number> {
  let asked: CommandLine | null = null;
  try {
    asked = commandLine(process.argv.slice(2));
  } catch (error) {
    console.error((error as Error).message);
  }
  if (!asked) {
    console.error(help);
    return process.argv.includes('--help') ? 0 : 2;
  }
  const missing = asked.peers.length ? peersMissing() : null;
  if (missing) console.log(missing);
  const request = { ...asked, peers: missing ? [] : asked.peers };
  if (request.peers.length) installPeers();
  let agree = true;
  const results = [];
  for (const name of asked.contests) {
    const contest = contestOf(name, request);
    const [floor, ...rest] = await runTogether(contest.entries, weightsFolder);
    const engines = rest.map(({ result, processor }, i) => ({
      name: contest.entries[i + 1].name,
      processor,
      ...(result as Measured),
    }));
    console.log(report(contest, floor.result as FloorResult, engines));
    agree &&= disagreement(contest, engines) <= 1e-3;
    results.push({ title: contest.title, floor: floor.result, engines });
  }
  if (asked.out) {
    const machine = { date: new Date().toISOString(), cpu: cpus()[0].model, cores: cpus().length };
    writeFileSync(asked.out, `${JSON.stringify({ ...machine, results }, null, 1)}\n`);
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
