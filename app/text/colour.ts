/** Eleven hues that stay apart under the common colour deficiencies; a class keeps its hue everywhere. */
const CATEGORIES = [
  '#0077bb',
  '#ee7733',
  '#009988',
  '#cc3311',
  '#aa7fd6',
  '#b58900',
  '#33a4dd',
  '#d6336c',
  '#6b8e23',
  '#7f6552',
  '#5566cc',
];

export const hue = (index: number): string => CATEGORIES[index % CATEGORIES.length]!;

const given = new Map<string, number>();

/** A class's colour by its name: the next free hue when first seen, the same one from then on. */
export function classColour(name: string): string {
  let index = given.get(name);
  if (index === undefined) {
    index = given.size;
    given.set(name, index);
  }
  return hue(index);
}

const runs = new Map<string, number>();

/** A run's colour wherever runs are compared: the next free hue when first seen, the same one from then on. */
export function runColour(id: string): string {
  let index = runs.get(id);
  if (index === undefined) {
    index = runs.size;
    runs.set(id, index);
  }
  return hue(index);
}

const RAMP: [number, number, number][] = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];

/** The sequential ramp at `t` in 0..1 as `[r, g, b]`, linear between five measured stops of viridis. */
export function ramp(t: number): [number, number, number] {
  const place = Math.min(1, Math.max(0, t)) * (RAMP.length - 1);
  const at = Math.min(RAMP.length - 2, Math.floor(place));
  const mix = place - at;
  const [a, b] = [RAMP[at]!, RAMP[at + 1]!];
  return [0, 1, 2].map((i) => Math.round(a[i]! + (b[i]! - a[i]!) * mix)) as [number, number, number];
}

export const css = ([r, g, b]: [number, number, number]): string => `rgb(${r} ${g} ${b})`;

/** Black or white, whichever contrasts more with the colour (WCAG relative luminance). */
export function inkOn([r, g, b]: [number, number, number]): string {
  const linear = [r, g, b].map((v) =>
    v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
  );
  const luminance = 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!;
  return luminance > 0.179 ? '#000' : '#fff';
}
