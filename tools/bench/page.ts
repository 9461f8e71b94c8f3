import { writeFileSync } from 'node:fs';
import type { ContestResult } from './contest.ts';
import { epochsTable } from './epochs.ts';
import type { GpuResult } from './gpu/result.ts';
import { growthSvg, growthTable, perWork } from './growth.ts';
import { liteForwardTable, liteStepTable } from './lite.ts';
import { photosLine, photosTable } from './photos.ts';
import {
  agreementLine,
  counterTable,
  describeSpec,
  floorLine,
  markdownTable,
  percent,
  stepTable,
} from './report.ts';
import { type Benchmarks, growthFile, pageFile, type Taken } from './store.ts';

/** Writes docs/benchmarks.md, and the picture in it, from what was measured. */
export function renderDocs(all: Benchmarks): void {
  writeFileSync(pageFile, benchmarksPage(all));
  if (all.growth) writeFileSync(growthFile, growthSvg(all.growth.result));
}

const NOT_YET = 'Not measured yet.';

const how = ({ command, date, cpu, cores }: Taken<unknown>): string =>
  `\`${command}\`, ${date}, ${cores} cores (${cpu}).`;

export function benchmarksPage(all: Benchmarks): string {
  return `${[intro, contests(all), epochs(all), lite(all), growth(all), gpu(all)].join('\n\n')}\n`;
}

const intro = `# Benchmarks

Written by \`npm run bench -- --write\` from what it measured (\`docs/benchmarks.json\`), never by hand.

\`\`\`sh
npm run bench                                    # vit and bert, reduced, beside jax-js and TensorFlow.js
npm run bench -- --model vit --peers none        # ours and the floor alone
npm run bench -- --model bert --full             # 6 layers, batch 8
npm run bench -- --model vit --blocks 2 --dim 96 # any shape; the peers train the same one
npm run bench -- --model lite                    # the default backbone beside ONNX Runtime
npm run bench -- --epochs                        # a second epoch over the cached prefix
npm run bench -- --growth                        # how cost grows
npm run bench -- --photos DIR                    # from a folder of photos to an adapter
npm run bench -- --profile --json FILE           # our step by kernel; everything measured, as JSON
\`\`\`

A contest is one LoRA training step (forward, backward, AdamW; on query and value of every block) with the same weights
and the same batch in every engine. All engines run in one Chromium, a page each, and take turns step by step, so that a
slow moment of the machine meets all of them. A time is the median of the steps after two of warm-up, from the call to
the loss read back and the update done. The exit code says whether all losses agree within 1e-3; no time is asserted.

- **Floor**: the step's operations, every row counted, by the fastest product kernel of the same run: our tiles, those of
  the peers' folder, the engine's own. All are tried while the engines warm up; the fastest then does a step's operations
  in each round. What a step reaches of it is the median over the rounds of floor time over step time, both of one round.
  (A single product of 0.1 s was measured before: on a machine with other work its rate moves by a factor of 1.9 within
  a run, a step's time by 1.35, and the highest of many such rates made the share swing between 69 and 99 %.)
- **Every row computed** does what the peers do. **Unread rows left out** drops the rows of the last block that a head
  on one token never reads (\`narrowRows\`). **Prefix cached** also takes what lies below the lowest adapter as
  computed before (\`frozenCut\`), as a session does for every sample. All give the same losses.
- **GPU process ms**: processor time of the browser's GPU process in a step. On a software adapter the work is done
  there, so on a machine with other work this is the steadier figure.
- **Peak MB**: most bytes that GPU buffers held at once; **planned**: what the compiler's plan, the weights and the
  optimiser's state add up to. **Made**: buffers, bind groups and pipelines. **Encoding**: what a step costs the page's
  thread in writing inputs, encoding and submitting. The rest is what the last step asked of WebGPU.

The peers' pages lie beside the repository in \`../shared/bench-peers\`; they are copied to \`.cache/\` and installed there.
Without them ours and the floor run alone, and the losses are held against the known ones.`;

function contests({ contests: found }: Benchmarks): string {
  const titles: [string, string][] = [
    ['vit', '(a) ViT-Tiny/16, reduced'],
    ['bert', '(b) small BERT, reduced'],
    ['vit-full', '(a) in full, ours alone'],
    ['bert-full', '(b) in full, ours alone'],
  ];
  return titles
    .map(([key, title]) => {
      const taken = found[key];
      return `## ${title}\n\n${taken ? contest(taken) : NOT_YET}`;
    })
    .join('\n\n');
}

function contest(taken: Taken<ContestResult>): string {
  const r = taken.result;
  return [
    `${describeSpec(r.spec)}. On ${r.adapter}. ${how(taken)}`,
    floorLine(r),
    markdownTable(stepTable(r)),
    ...r.left_out.map(({ engine, reason }) => `${engine} is left out: ${reason}`),
    markdownTable(counterTable(r)),
    agreementLine(r),
  ].join('\n\n');
}

function epochs({ epochs: found }: Benchmarks): string {
  const rows = Object.values(found);
  const text = rows.length
    ? [
        ...new Set(rows.map(how)),
        markdownTable(epochsTable(rows.map((t) => t.result))),
        `The prefix is computed on the same backend in the first three columns. Cached values lie on the GPU and are copied into place in each step. Losses with and without the cache ${apart(Math.max(...rows.map((t) => t.result.apart)))}${wasmNote(rows)}.`,
      ].join('\n\n')
    : NOT_YET;
  return `## A second epoch over the cached prefix\n\nAdapters in the last third of the blocks: what lies below them is computed once for each sample, and read in later epochs.\n\n${text}`;
}

const apart = (relative: number): string =>
  relative === 0 ? 'are equal' : `are within ${relative.toExponential(1)} (relative)`;

function wasmNote(rows: readonly Benchmarks['epochs'][string][]): string {
  const found = rows.flatMap((t) => (t.result.wasm_apart === null ? [] : [t.result.wasm_apart]));
  return found.length
    ? `; the prefix through ONNX Runtime's WASM is within ${Math.max(...found).toExponential(1)} of ours`
    : '';
}

function lite({ lite: found, photos }: Benchmarks): string {
  const parts = ['## (c) EfficientNet-Lite0'];
  if (found) {
    const { side, batch, forward } = found.result;
    parts.push(
      `At ${side} px, batch ${batch}, all in one browser session. ${how(found)}`,
      markdownTable(liteForwardTable(found.result)),
      ...forward.flatMap((f) => (f.error ? [`${f.engine}: ${f.error}`] : [])),
      'A step of LoRA with its defaults:',
      markdownTable(liteStepTable(found.result)),
    );
  } else parts.push(NOT_YET);
  parts.push('### From a folder of photos to a trained adapter');
  if (photos)
    parts.push(
      `${photosLine(photos.result)} Under Node. ${how(photos)}`,
      markdownTable(photosTable(photos.result)),
    );
  else parts.push(NOT_YET);
  return parts.join('\n\n');
}

function growth({ growth: found }: Benchmarks): string {
  if (!found) return `## How cost grows\n\n${NOT_YET}`;
  const { base, points } = found.result;
  const last = points.filter((p, i) => points[i + 1]?.axis !== p.axis);
  const worst = Math.max(...last.map((p) => perWork(points, p)));
  return [
    '## How cost grows',
    `${describeSpec(base)}, every row computed; one axis moves at a time. ${how(found)}`,
    '![Time for each operation against the work of a step, the smallest step of each axis being 1](benchmarks-growth.svg)',
    `At the far end of each axis an operation takes ${percent(worst)} or less of what it takes at the near end.`,
    markdownTable(growthTable(found.result)),
  ].join('\n\n');
}

function gpu({ gpu: found }: Benchmarks): string {
  const head = '## On a GPU, beside PyTorch with PEFT';
  if (!found)
    return `${head}\n\nNot measured: no GPU was at hand. The program is ready (\`tools/bench/gpu/README.md\`): Dawn under Node on the card, PyTorch and PEFT on the same card, in one run. It was tried at tiny shapes with SwiftShader and PyTorch on the processor, which says that both sides train the same model (the losses agree) and nothing about speed.`;
  const { adapter, torch_device, torch, toggles, steps, epochs: runs } = found.result;
  return [
    head,
    `Dawn on ${adapter}${toggles.length ? ` with ${toggles.join(', ')}` : ", a browser's defaults"}; PyTorch ${torch}, eager, on ${torch_device}. ${how(found)}`,
    markdownTable(gpuStepTable(steps)),
    'Ten epochs, adapters in the last third of the blocks; PEFT computes the frozen prefix anew in each epoch:',
    markdownTable(gpuEpochsTable(runs)),
  ].join('\n\n');
}

export function gpuStepTable(steps: GpuResult['steps']): string[][] {
  const f = (x: number | null) => (x === null ? '–' : x.toFixed(2));
  return [
    [
      'ms a step',
      'ours, every row',
      'ours, unread rows left out',
      'PEFT f32',
      'ours / PEFT',
      'ours, weights in f16',
      'PEFT, AMP',
      'losses apart',
    ],
    ...steps.map(({ spec, ours, peft, apart }) => [
      describeSpec(spec),
      f(ours.every_row),
      f(ours.unread_left_out),
      f(peft.f32),
      `${f(ours.every_row / peft.f32)}×`,
      f(ours.half),
      f(peft.amp),
      apart.toExponential(1),
    ]),
  ];
}

export function gpuEpochsTable(runs: GpuResult['epochs']): string[][] {
  return [
    ['seconds', 'epochs × batches', 'ours', 'of it the prefix', 'PEFT', 'ours / PEFT'],
    ...runs.map(({ spec, batches, epochs: n, ours_seconds: o, peft_seconds: p }) => [
      describeSpec(spec),
      `${n} × ${batches}`,
      o.all.toFixed(2),
      o.prefix.toFixed(2),
      p.toFixed(2),
      `${(o.all / p).toFixed(2)}×`,
    ]),
  ];
}
