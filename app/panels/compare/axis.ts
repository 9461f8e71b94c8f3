/** A scale of values along a chart's side. */
export interface Axis {
  log: boolean;
  ticks: number[];
  /** Where a value lies, 0 at the low end to 1 at the high one. */
  place(value: number): number;
}

/** Above this ratio between the largest and the smallest, a scale of positive values is logarithmic. */
const WIDE = 10;

/** A scale around the values with a margin; about `count` ticks at round numbers. */
export function axisOf(values: readonly number[], count: number): Axis {
  if (values.length === 0) return linear(0, 1, count);
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  if (low > 0 && high / low >= WIDE) return logarithmic(low / 1.3, high * 1.3, count);
  const room = (high - low || Math.abs(high) || 1) * 0.1;
  return linear(low >= 0 ? Math.max(0, low - room) : low - room, high + room, count);
}

export function linear(low: number, high: number, count: number): Axis {
  const rough = (high - low) / Math.max(1, count);
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * decade >= rough * 0.999)! * decade;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
  return { log: false, ticks, place: (value) => (value - low) / (high - low) };
}

function logarithmic(low: number, high: number, count: number): Axis {
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const decades = Array.from(
    { length: Math.floor(to) - Math.floor(from) + 1 },
    (_, i) => Math.floor(from) + i,
  );
  const at = (steps: number[]) =>
    decades
      .flatMap((d) => steps.map((m) => Number((m * 10 ** d).toPrecision(3))))
      .filter((t) => t >= low && t <= high);
  const ticks = [[1, 2, 5], [1, 3], [1]].map(at).find((found) => found.length <= count + 1) ?? at([1]);
  const every = Math.max(1, Math.ceil(ticks.length / (count + 1)));
  return {
    log: true,
    ticks: ticks.filter((_, i) => i % every === 0),
    place: (value) => (Math.log10(value) - from) / (to - from),
  };
}
