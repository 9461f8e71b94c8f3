import { runTogether } from './browser.ts';
import { median, page } from './contest.ts';
import type { GrowthArguments } from './growth.page.ts';
import { modelFlops, type Sizes, type Spec, specOf } from './model.ts';

export type Axis = 'batch' | 'tokens' | 'rank' | 'blocks';

export interface GrowthPoint {
  axis: Axis;
  value: number;
  gflop: number;
  ms: number;
}

export interface GrowthResult {
  /** What stays the same along the other axes. */
  base: Spec;
  points: GrowthPoint[];
}

/** Slim, so that the whole ends in minutes on a machine without a GPU. */
const base: Sizes = { blocks: 2, dim: 96, heads: 3, tokens: 64, batch: 4, rank: 8 };
const axes: Record<Axis, number[]> = {
  batch: [1, 2, 4, 8, 16, 32, 64],
  tokens: [64, 128, 256, 512, 1024],
  rank: [1, 4, 16, 64, 256],
  blocks: [2, 4, 8, 16, 24],
};
const STEPS = 5;

/** Times a step along each axis, the others as in the base. */
export async function measureGrowth(): Promise<GrowthResult> {
  const asked = (Object.keys(axes) as Axis[]).flatMap((axis) =>
    axes[axis].map((value) => ({ axis, value, spec: specOf('bert', 'reduced', { ...base, [axis]: value }) })),
  );
  const args: GrowthArguments = { specs: asked.map((a) => a.spec), steps: STEPS };
  const [{ result }] = await runTogether([{ name: 'growth', file: page('growth.page.ts'), args }]);
  const times = result as number[][];
  return {
    base: specOf('bert', 'reduced', base),
    points: asked.map(({ axis, value, spec }, i) => ({
      axis,
      value,
      gflop: modelFlops(spec).step / 1e9,
      ms: median(times[i]),
    })),
  };
}

/** Time for each operation against that of the axis's smallest point; 1 and below is linear in the work or better. */
export function perWork(points: readonly GrowthPoint[], { axis, gflop, ms }: GrowthPoint): number {
  const first = points.find((p) => p.axis === axis)!;
  return ms / gflop / (first.ms / first.gflop);
}

export function growthTable({ points }: GrowthResult): string[][] {
  return [
    ['axis', 'value', 'GFLOP a step', 'step ms', 'GFLOP/s', 'time for each operation, the smallest being 1'],
    ...points.map((p) => [
      p.axis,
      String(p.value),
      p.gflop.toFixed(3),
      p.ms.toFixed(1),
      (p.gflop / (p.ms / 1000)).toFixed(2),
      perWork(points, p).toFixed(2),
    ]),
  ];
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [760, 300, 56, 40, 16, 100];
/** A dash for each axis, so that the curves are told apart without colour. */
const dashes: Record<Axis, string> = { batch: '', tokens: '7 4', rank: '2 4', blocks: '10 4 2 4' };

/** Time for each operation against how much more work there is, both the smallest point's being 1: an SVG picture. */
export function growthSvg({ points }: GrowthResult): string {
  const series = [...new Set(points.map((p) => p.axis))].map((axis) => {
    const own = points.filter((p) => p.axis === axis);
    return { axis, own: own.map((p) => ({ ...p, work: p.gflop / own[0].gflop, time: perWork(points, p) })) };
  });
  const all = series.flatMap((s) => s.own);
  const most = Math.max(1, ...all.map((p) => Math.ceil(Math.log2(p.work))));
  const top = Math.max(1.2, ...all.map((p) => p.time));
  const px = (doublings: number) => LEFT + (doublings / most) * (WIDTH - LEFT - RIGHT);
  const py = (time: number) => HEIGHT - BOTTOM - (time / top) * (HEIGHT - BOTTOM - TOP);
  const place = (p: { work: number; time: number }) =>
    [px(Math.log2(p.work)), py(p.time)].map(Math.round).join(',');
  const curves = series.map(
    ({ axis, own }) => `<polyline points="${own.map(place).join(' ')}" stroke-dasharray="${dashes[axis]}"/>`,
  );
  const marks = series.map(({ axis, own }) => {
    const last = own.at(-1)!;
    const dots = own.map((p) => {
      const [x, y] = place(p).split(',');
      return `<circle cx="${x}" cy="${y}" r="2.5"/>`;
    });
    const [x, y] = place(last).split(',').map(Number);
    // A short curve ends under the others.
    const down = x < WIDTH / 2 ? 18 : 4;
    return `${dots.join('')}<text x="${x + 8}" y="${y + down}">${axis} ${last.value}</text>`;
  });
  const columns = Array.from({ length: most + 1 }, (_, i) => i);
  const rows = Array.from({ length: Math.floor(top * 5) + 1 }, (_, i) => i / 5);
  const [left, right, bottom] = [LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM];
  const upright = (x: number) => `<line x1="${x}" y1="${TOP}" x2="${x}" y2="${bottom}"/>`;
  const level = (y: number) => `<line x1="${left}" y1="${y}" x2="${right}" y2="${y}"/>`;
  const under = (i: number) =>
    `<text x="${Math.round(px(i))}" y="${bottom + 16}" text-anchor="middle">${2 ** i}</text>`;
  const beside = (t: number) =>
    `<text x="${left - 8}" y="${Math.round(py(t)) + 4}" text-anchor="end">${t.toFixed(1)}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fcfcfb"/>
<g stroke="#e3e4e1">${columns.map((i) => upright(Math.round(px(i)))).join('')}${rows.map((t) => level(Math.round(py(t)))).join('')}</g>
<g stroke="#535755">${level(Math.round(py(1)))}</g>
<g fill="#535755">${columns.map(under).join('')}${rows.map(beside).join('')}<text x="${(left + right) / 2}" y="${HEIGHT - 6}" text-anchor="middle">work of a step, the smallest being 1</text><text x="${left + 6}" y="${TOP + 14}">time for each operation, the smallest step's being 1</text></g>
<g fill="none" stroke="#0a7549" stroke-width="1.5">${curves.join('')}</g>
<g fill="#0a7549">${marks.join('')}</g>
</svg>
`;
}
