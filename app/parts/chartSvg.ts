interface Drawing {
  title: string;
  x: number[];
  lines: { label: string; width: number; dash?: number[]; values: (number | null)[] }[];
  colours: string[];
  ink: string;
  paper: string;
  format: (value: number) => string;
}

const WIDTH = 720;
const HEIGHT = 320;
const EDGE = { left: 56, right: 16, top: 32, bottom: 32 };

const escaped = (text: string): string =>
  text.replace(/[<>&"]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[c]!);

/** The same lines as a drawing that scales: 720 × 320, labelled at its extremes. */
export function chartSvg({ title, x, lines, colours, ink, paper, format }: Drawing): string {
  const all = lines.flatMap((line) =>
    line.values.filter((v): v is number => v !== null && Number.isFinite(v)),
  );
  const [low, high] =
    all.length > 0 ? [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))] : [0, 1];
  const [first, last] = [x[0] ?? 0, x.at(-1) ?? 1];
  const place = (value: number, from: number, to: number) => (to > from ? (value - from) / (to - from) : 0.5);
  const px = (v: number) => EDGE.left + place(v, first, last) * (WIDTH - EDGE.left - EDGE.right);
  const py = (v: number) => HEIGHT - EDGE.bottom - place(v, low, high) * (HEIGHT - EDGE.top - EDGE.bottom);
  const paths = lines.map((line, i) => {
    const points = line.values.flatMap((v, row) =>
      v === null ? [] : [`${px(x[row]!).toFixed(1)},${py(v).toFixed(1)}`],
    );
    const dash = line.dash ? ` stroke-dasharray="${line.dash.join(' ')}"` : '';
    return `<polyline fill="none" stroke="${colours[i]}" stroke-width="${line.width}"${dash} points="${points.join(' ')}"><title>${escaped(line.label)}</title></polyline>`;
  });
  const text = (at: [number, number], words: string, anchor: string) =>
    `<text x="${at[0]}" y="${at[1]}" text-anchor="${anchor}">${escaped(words)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="${ink}">`,
    `<rect width="100%" height="100%" fill="${paper}"/>`,
    text([EDGE.left, 20], title, 'start'),
    text([EDGE.left - 8, py(high) + 4], format(high), 'end'),
    text([EDGE.left - 8, py(low) + 4], format(low), 'end'),
    text([EDGE.left, HEIGHT - 10], String(first), 'start'),
    text([WIDTH - EDGE.right, HEIGHT - 10], String(last), 'end'),
    ...paths,
    '</svg>',
  ].join('\n');
}
