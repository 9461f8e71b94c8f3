/**
 * Runs elsewhere, in Python: the folder that the studio writes is unpacked and run by one process, by two under
 * Accelerate and by two workers of Ray, and what comes out goes back into the studio.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Largest relative difference of the losses of one process there from the studio's. */
const TOLERANCE = 1e-3;

const losses = (file) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).loss);

const furthest = (found, expected) =>
  found.length === expected.length
    ? Math.max(...found.map((loss, i) => Math.abs(loss - expected[i]) / expected[i]))
    : Number.POSITIVE_INFINITY;

/** What is repeated: pictures with a classifier, and text with a language model. */
function cases({ fixtures, images, weights, work }) {
  const lines = Array.from({ length: 24 }, (_, i) =>
    JSON.stringify({ prompt: `Hail ship ${i}.`, completion: `Ship ${i % 5}, ahoy!` }),
  );
  const asked = join(work, 'asked.jsonl');
  writeFileSync(asked, `${lines.join('\n')}\n`);
  return [
    {
      name: 'vit-tiny on pictures',
      backbone: join(fixtures, 'vit-tiny'),
      data: images,
      train: [
        '--batch',
        '8',
        '--steps',
        '12',
        '--set',
        'r=4',
        '--set',
        'lora_alpha=8',
        '--lr',
        '1e-2',
        '--no-augment',
      ],
    },
    {
      name: 'graft-llama on conversations',
      backbone: join(weights, 'graft-llama'),
      data: asked,
      train: [
        ...['--task', 'causal-lm', '--max-length', '32', '--batch', '4', '--steps', '6', '--lr', '1e-2'],
        ...['--set', 'r=4', '--set', 'lora_alpha=8'],
      ],
    },
  ];
}

/** Prints a line for each check; returns how many passed and failed. */
export function checkElsewhere({ python, studio, work, ...places }) {
  const counts = { passed: 0, failed: 0 };
  const check = (name, good, figure) => {
    console.log(`${good ? 'ok' : 'FAIL'} elsewhere, ${name}: ${figure}`);
    counts[good ? 'passed' : 'failed'] += 1;
  };
  const must = (name, result) => {
    if (result.status === 0) return true;
    check(
      name,
      false,
      `ended with ${result.status ?? result.signal}: ${result.stderr.trim().split('\n').slice(-3).join(' | ')}`,
    );
    return false;
  };
  for (const [i, { name, backbone, data, train }] of cases({ work, ...places }).entries()) {
    const folder = join(work, `elsewhere-${i}`);
    const run = join(folder, 'run');
    mkdirSync(run, { recursive: true });
    const common = ['--backbone', backbone, '--data', data, '--cache', join(folder, 'cache'), ...train];
    const log = join(folder, 'log.jsonl');
    const here = studio('train', [...common, '--out', join(folder, 'adapter.zip'), '--log', log]);
    const zip = join(folder, 'run.zip');
    if (!must(name, here) || !must(name, studio('train', [...common, '--elsewhere', zip, '--with-base'])))
      continue;
    must(name, spawnSync(python, ['-m', 'zipfile', '-e', zip, run], { encoding: 'utf8' }));
    if (data === places.images) symlinkSync(data, join(run, 'data'));
    const launch = [
      '-m',
      'accelerate.commands.launch',
      '--cpu',
      '--num_processes',
      '2',
      '--num_machines',
      '1',
    ];
    const ways = [
      ['one process', ['train.py'], run],
      [
        'two processes',
        [...launch, '--mixed_precision', 'no', '--dynamo_backend', 'no', 'train.py'],
        join(folder, 'two'),
      ],
      ['two Ray workers', ['train_ray.py', '--workers', '2'], join(folder, 'ray')],
    ];
    for (const [way, args, out] of i === 0 ? ways : ways.slice(0, 1)) {
      const env = { ...process.env, HF_HUB_OFFLINE: '1', OMP_NUM_THREADS: '1' };
      const result = spawnSync(python, [...args, '--out', out], {
        cwd: run,
        env,
        encoding: 'utf8',
        timeout: 600_000,
      });
      if (!must(`${name}, ${way}`, result)) continue;
      const difference = furthest(losses(join(out, 'log.jsonl')), losses(log));
      check(
        `${name}, ${way}`,
        difference < TOLERANCE,
        `loss curve differs by ${difference.toExponential(1)}`,
      );
      const back = studio('inspect', [join(out, 'adapter')]);
      if (must(`${name}, ${way}, back in the studio`, back))
        check(`${name}, ${way}, back in the studio`, /\t4\t/.test(back.stdout), 'opens with its ranks');
    }
  }
  return counts;
}
