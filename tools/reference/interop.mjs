/**
 * `npm run test:interop`: does what the studio exports mean the same to PEFT? Makes its own Python environment, lets the
 * headless studio train and predict, then loads the adapters with real PEFT (transformers 5, timm, transformers 4).
 * Prints each figure and, last, "N passed, N failed"; exits with 1 when anything failed. Words after it choose cases by
 * their names.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkElsewhere } from './elsewhere.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..', '..');
const cache = join(root, '.cache');
const work = join(cache, 'interop');
const fixtures = join(root, 'tools', 'reference', 'fixtures');
const parity = join(fixtures, 'peft-vit-lora');
const images = join(parity, 'images');

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', timeout: 900_000, ...options });
  if (result.error) throw new Error(`${command} could not be run: ${result.error.message}`);
  return result;
}

function must(command, args, options = {}) {
  const result = run(command, args, options);
  if (result.status !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${result.status}:\n${result.stdout}${result.stderr}`,
    );
  }
}

/** Run `make` unless `folder` was made from these very requirements before. */
function onceFor(folder, requirements, make) {
  const stamp = join(folder, 'made-from');
  const wanted = createHash('sha256').update(readFileSync(requirements)).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const started = Date.now();
  rmSync(folder, { recursive: true, force: true });
  make();
  writeFileSync(stamp, wanted);
  console.log(`made ${folder} in ${Math.round((Date.now() - started) / 1000)} s`);
}

function pythonEnvironments() {
  const venv = join(cache, 'venv-interop');
  const python = join(venv, 'bin', 'python');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  const newest = join(here, 'requirements-interop.txt');
  onceFor(venv, newest, () => {
    must('python3', ['-m', 'venv', venv]);
    must(python, [...pip, '-r', newest]);
  });
  // transformers 4 lies over the same environment by PYTHONPATH, so that torch is there only once.
  const overlay = join(cache, 'interop-transformers-4');
  const older = join(here, 'requirements-transformers-4.txt');
  onceFor(overlay, older, () => must(python, [...pip, '--no-deps', '--target', overlay, '-r', older]));
  return { python, overlay };
}

/** The embedded default at a quarter of its size, so that a few steps fit a software renderer; weights are linked. */
function smallEfficientnet() {
  const source = join(root, 'models', 'weights', 'efficientnet-lite0');
  const folder = join(work, 'efficientnet-64');
  mkdirSync(folder, { recursive: true });
  for (const file of ['config.json', 'model.safetensors'])
    symlinkSync(join(source, file), join(folder, file));
  const processor = JSON.parse(readFileSync(join(source, 'preprocessor_config.json'), 'utf8'));
  const small = { ...processor, size: { shortest_edge: 73 }, crop_size: { height: 64, width: 64 } };
  writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(small));
  return folder;
}

const settings = (values) => Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
const attention = { r: 4, lora_alpha: 8, lora_dropout: 0, target_modules: 'q_proj,v_proj' };

function cases() {
  const plain = ['--batch', '8', '--seed', '1', '--no-augment'];
  const vitTiny = join(fixtures, 'vit-tiny');
  const parityOptions = [
    '--schedule',
    'constant',
    '--lr',
    '1e-3',
    '--weight-decay',
    '0.01',
    '--clip',
    '0',
    '--steps',
    '20',
  ];
  return [
    {
      name: 'vit-tiny, 20 steps beside PEFT',
      kind: 'vit',
      backbone: vitTiny,
      parity,
      train: [
        ...settings(attention),
        ...plain,
        ...parityOptions,
        '--no-shuffle',
        '--init',
        join(parity, 'init'),
      ],
    },
    {
      name: 'vit-tiny, every linear layer',
      kind: 'vit',
      backbone: vitTiny,
      train: [
        ...settings({ r: 3, lora_alpha: 16, target_modules: 'q_proj,k_proj,v_proj,o_proj,fc1,fc2' }),
        ...[...plain, '--lr', '5e-3', '--steps', '12'],
      ],
    },
    {
      name: 'dinov2-tiny, attention and MLP',
      kind: 'dinov2',
      backbone: join(fixtures, 'dinov2-tiny'),
      train: [
        ...settings({ ...attention, target_modules: 'q_proj,v_proj,fc1' }),
        ...plain,
        '--lr',
        '5e-3',
        '--steps',
        '12',
      ],
    },
    {
      name: 'bert-words-tiny, a table of texts',
      kind: 'text',
      backbone: join(fixtures, 'bert-words-tiny'),
      data: join(fixtures, 'peft-bert-lora', 'texts.csv'),
      train: [
        ...settings({ r: 4, lora_alpha: 8, target_modules: 'query,value,output.dense' }),
        ...['--batch', '8', '--seed', '1', '--max-length', '16', '--lr', '5e-3', '--steps', '3'],
      ],
    },
    {
      name: 'EfficientNet-Lite0, 1x1 convolutions',
      kind: 'timm',
      backbone: smallEfficientnet(),
      train: [
        ...settings({
          r: 4,
          lora_alpha: 8,
          target_modules: 'blocks.6.0.conv_pw,blocks.6.0.conv_pwl,conv_head',
        }),
        ...[...plain, '--lr', '3e-3', '--steps', '6'],
      ],
    },
    ...types.map(({ method, type, values = {}, ...rest }) => ({
      name: `${type} by ${method}, vit-tiny`,
      kind: 'vit',
      backbone: vitTiny,
      method,
      type,
      ...rest,
      train: [...settings(values), ...plain, '--lr', '2e-2', '--steps', '4'],
    })),
  ];
}

const both = { target_modules: 'q_proj,fc1' };

/**
 * A case for every type of PEFT that the studio writes, and for every way in which a method comes to it. `loose` ones
 * cannot be switched off by PEFT, which trains the base's own parameters there; `warns` is what PEFT says of any file of
 * the type, its own among them; PEFT 0.18 drops the saved projections of VERA, so that is for the `newest` alone.
 */
const types = [
  { method: 'dora', type: 'LORA', values: { r: 3, ...both } },
  { method: 'pissa', type: 'LORA', values: { r: 3, ...both } },
  { method: 'corda', type: 'LORA', values: { r: 3, ...both } },
  { method: 'dylora', type: 'LORA', values: { r: 4, rank: 2, ...both } },
  { method: 'paca', type: 'LORA', values: { r: 4, ...both } },
  { method: 'galore', type: 'LORA', values: { r: 4, ...both } },
  { method: 'low-precision', type: 'LORA', values: { r: 8, scale: 4, ...both } },
  { method: 'bitfit', type: 'LORA', loose: true },
  { method: 'adalora', type: 'ADALORA', warns: 'rank_pattern', values: { init_r: 4, target_r: 2, ...both } },
  { method: 'vera', type: 'VERA', newest: true, values: { r: 16, ...both } },
  { method: 'ia3', type: 'IA3', values: both },
  { method: 'loha', type: 'LOHA', values: { r: 3, ...both } },
  { method: 'lokr', type: 'LOKR', values: { r: 3, ...both } },
  { method: 'oft', type: 'OFT', values: { oft_block_size: 8, ...both } },
  { method: 'ln-tuning', type: 'LN_TUNING', warns: 'Unsupported layer type' },
  { method: 'shira', type: 'SHIRA', values: { density: 5, rate: 10, ...both } },
];

function studio(command, args) {
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  return run(process.execPath, [tsx, join(root, 'tools', 'cli', 'main.ts'), command, ...args]);
}

/** Train and predict with the studio; an error text where one of them failed. */
function produce(job, index) {
  const folder = join(work, `case-${index}`);
  mkdirSync(folder, { recursive: true });
  const made = {
    adapter: join(folder, 'adapter.zip'),
    predictions: join(folder, 'predictions.csv'),
    log: join(folder, 'log.jsonl'),
  };
  const common = ['--backbone', job.backbone, '--data', job.data ?? images];
  const steps = [
    [
      'train',
      [...common, '--method', job.method ?? 'lora', ...job.train, '--log', made.log, '--out', made.adapter],
    ],
    ['predict', [...common, '--adapter', made.adapter, '--out', made.predictions]],
  ];
  if (!job.type && ['vit', 'dinov2', 'timm'].includes(job.kind)) {
    made.merged = join(folder, 'model.zip');
    const model = ['--backbone', job.backbone, '--adapter', made.adapter, '--merged', '--out', made.merged];
    steps.push(['export', model]);
  }
  if (job.parity) {
    made.imported = join(folder, 'imported.csv');
    steps.push(['predict', [...common, '--adapter', join(job.parity, 'final'), '--out', made.imported]]);
  }
  for (const [command, args] of steps) {
    const result = studio(command, args);
    if (result.status !== 0) {
      const lines = result.stderr.trim().split('\n');
      const reason = lines.find((line) => /error|graft:/i.test(line)) ?? lines.at(-1);
      return { ...job, error: `graft ${command} ended with ${result.status}: ${reason}` };
    }
  }
  return { ...job, ...made };
}

function main() {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const { python, overlay } = pythonEnvironments();
  const jobs = join(work, 'jobs.json');
  const asked = process.argv.slice(2);
  const chosen = cases().filter(({ name }) => !asked.length || asked.some((word) => name.includes(word)));
  writeFileSync(jobs, JSON.stringify({ images, cases: chosen.map(produce) }));
  let passed = 0;
  let failed = 0;
  for (const path of [undefined, overlay]) {
    const env = { ...process.env, HF_HUB_OFFLINE: '1', ...(path ? { PYTHONPATH: path } : {}) };
    const result = run(python, [join(here, 'interop.py'), jobs], { env });
    process.stdout.write(result.stdout);
    const lines = result.stdout.split('\n');
    passed += lines.filter((line) => line.startsWith('ok ')).length;
    failed += lines.filter((line) => line.startsWith('FAIL ')).length;
    if (result.status !== 0) {
      console.log(`FAIL the checks stopped early (${result.signal ?? result.status}):\n${result.stderr}`);
      failed += 1;
    }
  }
  if (!asked.length || asked.includes('elsewhere')) {
    const counts = checkElsewhere({
      python,
      studio,
      work,
      fixtures,
      images,
      weights: join(root, 'models', 'weights'),
    });
    passed += counts.passed;
    failed += counts.failed;
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

main();
