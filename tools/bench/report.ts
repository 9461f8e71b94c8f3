import type { KernelTime } from '../../workers/protocol.ts';
import type { ContestResult, Run } from './contest.ts';

/** Kernels that a profile lists. */
const KERNELS = 16;

const ms = (x: number | null): string => (x === null ? '–' : x.toFixed(x < 10 ? 2 : 0));
const times = (x: number): string => `${x.toFixed(2)}×`;
export const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1);
export const percent = (x: number): string => `${(100 * x).toFixed(0)} %`;

export const engineTitles: Record<Run['engine'], string> = {
  graft: 'ours',
  'jax-js': 'jax-js',
  tfjs: 'TensorFlow.js',
};
const titleOf = ({ engine, variant }: Run) =>
  variant ? `${engineTitles[engine]}, ${variant}` : engineTitles[engine];

export function describeSpec({
  model,
  depth,
  batch,
  tokens,
  dim,
  heads,
  rank,
}: ContestResult['spec']): string {
  const name = model === 'vit' ? 'ViT' : 'BERT';
  return `${name}: ${depth} blocks of width ${dim}, ${heads} heads, ${tokens} tokens, batch ${batch}, rank ${rank}`;
}

/** Rows of the step's table: times, and how many of ours go into a peer's. */
export function stepTable({ runs, flops, floor }: ContestResult): string[][] {
  const floorMs = flops / floor.gflops / 1e6;
  const peers = (['jax-js', 'tfjs'] as const).flatMap((e) => runs.filter((r) => r.engine === e));
  return [
    [
      'engine',
      'step ms',
      'range',
      'of the floor',
      ...peers.map((p) => `faster than ${engineTitles[p.engine]}`),
      'forward ms',
      'GPU process ms',
    ],
    ...runs.map((r) => [
      titleOf(r),
      ms(r.median_ms),
      r.range_ms.map((x) => ms(x)).join('–'),
      // The floor is of every row; it says nothing of a step that leaves some out.
      r === runs[0] ? percent(floor.share) : r.engine !== 'graft' ? percent(floorMs / r.median_ms) : '–',
      ...peers.map((p) => times(p.median_ms / r.median_ms)),
      ms(r.forward_ms),
      ms(r.processor_ms),
    ]),
  ];
}

/** Rows of what a step asks of WebGPU, and of memory. */
export function counterTable({ runs }: ContestResult): string[][] {
  return [
    [
      'engine',
      'peak MB',
      'planned MB',
      'made in step 3 and later',
      'planned submits',
      'encoding ms',
      ...Object.keys(runs[0].per_step),
    ],
    ...runs.map((r) => [
      titleOf(r),
      megabytes(r.peak_bytes),
      r.planned_bytes === undefined ? '–' : megabytes(r.planned_bytes),
      String(r.made_late),
      r.planned_submits === undefined ? '–' : String(r.planned_submits),
      r.encode_ms === undefined ? '–' : r.encode_ms.toFixed(2),
      ...Object.values(r.per_step).map(String),
    ]),
  ];
}

export const agreementLine = ({ apart, runs }: ContestResult): string =>
  `Losses of ours: ${runs[0].losses.map((l) => l.toFixed(6)).join(' ')}. All within ${apart.toExponential(1)} (relative): ${apart <= 1e-3 ? 'they agree' : 'THEY DO NOT AGREE'}.`;

export const floorLine = ({ floor, flops }: ContestResult): string =>
  `Floor: ${(flops / 1e9).toFixed(3)} GFLOP at ${floor.gflops.toFixed(2)} GFLOP/s (${floor.tile}, ${floor.shape.join('×')}) are ${(flops / floor.gflops / 1e6).toFixed(0)} ms. ${roundsLine(floor)}`;

/** Contests measured before rounds were kept have none. */
function roundsLine({ share, shares, processor_share }: ContestResult['floor']): string {
  if (!shares?.length) return '';
  const all = shares.map((s) => percent(s)).join(', ');
  const busy = processor_share === null ? '' : `; by processor time ${percent(processor_share)}`;
  return `Round by round our step with every row reaches ${all} of it: in the median ${percent(share)}${busy}.`;
}

export function contestText(r: ContestResult): string {
  return [
    '',
    `${describeSpec(r.spec)}, on ${r.adapter}`,
    `tiles, GFLOP/s: ${r.floor.tiles.map((t) => `${t.name} ${t.gflops.toFixed(2)}`).join('; ')}`,
    floorLine(r),
    textTable(stepTable(r)),
    '',
    textTable(counterTable(r)),
    ...r.left_out.map(({ engine, reason }) => `${engine} is left out: ${reason}`),
    agreementLine(r),
    ...r.runs.flatMap((run) => (run.kernels ? ['', profileText(run, r.floor.gflops)] : [])),
  ].join('\n');
}

function profileText(run: Run, floor: number): string {
  const kernels = run.kernels!;
  const all = kernels.reduce((n, k) => n + k.ms, 0);
  const rest = kernels.slice(KERNELS).reduce((n, k) => n + k.ms, 0);
  return [
    `GPU time of a step of ${titleOf(run)}: ${all.toFixed(0)} ms`,
    textTable([
      ['kernel', 'times', 'ms', 'share', 'GFLOP/s', 'of the floor', 'GB/s'],
      ...kernels.slice(0, KERNELS).map((k) => kernelRow(k, all, floor)),
      ...(rest ? [['all others', '', rest.toFixed(1), percent(rest / all), '', '', '']] : []),
    ]),
  ].join('\n');
}

function kernelRow(k: KernelTime, all: number, floor: number): string[] {
  const rate = k.flops / k.ms / 1e6;
  return [
    k.label,
    String(k.count),
    k.ms.toFixed(1),
    `${((100 * k.ms) / all).toFixed(1)} %`,
    k.flops ? rate.toFixed(2) : '',
    k.flops ? percent(rate / floor) : '',
    (k.bytes / k.ms / 1e6).toFixed(2),
  ];
}

export function textTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((r) => r[c].length)));
  return rows
    .map((r) => r.map((cell, c) => (c ? cell.padStart(widths[c]) : cell.padEnd(widths[c]))).join('  '))
    .join('\n');
}

export function markdownTable([head, ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map((_, i) => (i ? '--:' : '---')).join('|')}|`, ...rows.map(line)].join('\n');
}
