/** Triangular filters over the bins of a power spectrum; each is a run of weights, since most of a row is zero. */
export interface MelFilter {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Slaney's scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above. */
const slaney = {
  of: (hertz: number) =>
    hertz < 1000 ? (3 * hertz) / 200 : 15 + (Math.log(hertz / 1000) * 27) / Math.log(6.4),
  hertz: (mel: number) => (mel < 15 ? (200 * mel) / 3 : 1000 * Math.exp((Math.log(6.4) / 27) * (mel - 15))),
};

const kaldi = (hertz: number) => 1127 * Math.log(1 + hertz / 700);

const spaced = (low: number, high: number, count: number) =>
  Float64Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

/** `count` filters over `bins` bins from 0 to half of `rate`, between 0 and 8 kHz, each of area 1 (librosa's default). */
export function slaneyFilters(count: number, bins: number, rate: number): MelFilter[] {
  const edges = spaced(slaney.of(0), slaney.of(8000), count + 2).map(slaney.hertz);
  const places = spaced(0, Math.floor(rate / 2), bins);
  return triangles(edges, places).map(({ first, weights }, i) => ({
    first,
    weights: weights.map((w) => (w * 2) / (edges[i + 2] - edges[i])),
  }));
}

/** Kaldi's `count` filters between 20 Hz and half of `rate`: triangles on the mel scale, of height 1. */
export function kaldiFilters(count: number, bins: number, rate: number): MelFilter[] {
  const edges = spaced(kaldi(20), kaldi(Math.floor(rate / 2)), count + 2);
  const width = rate / ((bins - 1) * 2);
  return triangles(
    edges,
    Float64Array.from({ length: bins }, (_, i) => kaldi(width * i)),
  );
}

function triangles(edges: Float64Array, places: Float64Array): MelFilter[] {
  return Array.from({ length: edges.length - 2 }, (_, i) => {
    const [low, middle, high] = edges.subarray(i, i + 3);
    const all = places.map((at) =>
      Math.max(0, Math.min((at - low) / (middle - low), (high - at) / (high - middle))),
    );
    const first = Math.max(
      0,
      all.findIndex((w) => w > 0),
    );
    const last = all.findLastIndex((w) => w > 0);
    return { first, weights: all.slice(first, last + 1) };
  });
}

/** What a filter lets through of a power spectrum. */
export function filtered({ first, weights }: MelFilter, power: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i] * power[first + i];
  return sum;
}
