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

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [760, 300, 56, 40, 16, 90];
/** One shade and dash for each axis: told apart without colour. */
const strokes: Record<Axis, string> = { batch: '', tokens: '7 4', rank: '2 4', blocks: '10 4 2 4' };

/** Time against work, both logarithmic, with the line of equal time for each operation: an SVG picture. */
export function growthSvg({ points }: GrowthResult): string {
  const xs = points.map((p) => Math.log10(p.gflop));
  const ys = points.map((p) => Math.log10(p.ms));
  const [x0, x1] = [Math.floor(Math.min(...xs)), Math.ceil(Math.max(...xs))];
  const [y0, y1] = [Math.floor(Math.min(...ys)), Math.ceil(Math.max(...ys))];
  const px = (x: number) => LEFT + ((x - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const py = (y: number) => HEIGHT - BOTTOM - ((y - y0) / (y1 - y0)) * (HEIGHT - BOTTOM - TOP);
  const at = (p: GrowthPoint) => [px(Math.log10(p.gflop)), py(Math.log10(p.ms))].map(Math.round);
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const power = (n: number) => (n < 0 ? (10 ** n).toFixed(-n) : String(10 ** n));
  const series = [...new Set(points.map((p) => p.axis))].map((axis) => ({
    axis,
    own: points.filter((p) => p.axis === axis),
  }));
  const curves = series.map(
    ({ axis, own }) =>
      `<polyline points="${own.map((p) => at(p).join(',')).join(' ')}" stroke-dasharray="${strokes[axis]}"/>`,
  );
  const marks = series.map(({ axis, own }) => {
    const [x, y] = at(own.at(-1)!);
    const dots = own.map((p) => `<circle cx="${at(p)[0]}" cy="${at(p)[1]}" r="2.5"/>`);
    return `${dots.join('')}<text x="${x + 8}" y="${y + 4}">${axis} ${own.at(-1)!.value}</text>`;
  });
  const first = points[0];
  const slope = Math.log10(first.ms) - Math.log10(first.gflop);
  const guide = [x0, Math.min(x1, y1 - slope)]
    .map((x) => [px(x), py(x + slope)].map(Math.round).join(','))
    .join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fcfcfb"/>
<g stroke="#e3e4e1">${range(x0, x1)
    .map((x) => `<line x1="${px(x)}" y1="${TOP}" x2="${px(x)}" y2="${HEIGHT - BOTTOM}"/>`)
    .join('')}${range(y0, y1)
    .map((y) => `<line x1="${LEFT}" y1="${py(y)}" x2="${WIDTH - RIGHT}" y2="${py(y)}"/>`)
    .join('')}</g>
<g fill="#535755">${range(x0, x1)
    .map((x) => `<text x="${px(x)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${power(x)}</text>`)
    .join('')}${range(y0, y1)
    .map((y) => `<text x="${LEFT - 8}" y="${py(y) + 4}" text-anchor="end">${power(y)}</text>`)
    .join(
      '',
    )}<text x="${(WIDTH + LEFT - RIGHT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">GFLOP a step</text><text x="${LEFT + 6}" y="${TOP + 12}">ms a step</text></g>
<polyline points="${guide}" fill="none" stroke="#989d99"/>
<g fill="none" stroke="#0a7549" stroke-width="1.5">${curves.join('')}</g>
<g fill="#0a7549">${marks.join('')}</g>
</svg>
`;
}
