import type { Spectrum } from '../../../workers/protocol.ts';

/** Spectra in network order; paths that the backbone does not list come last, as they came. */
export function inOrder(spectra: readonly Spectrum[], paths: readonly string[]): Spectrum[] {
  const place = new Map(paths.map((path, i) => [path, i]));
  return [...spectra].sort((a, b) => (place.get(a.path) ?? Infinity) - (place.get(b.path) ?? Infinity) || 0);
}

/** Directions that a module has at most: the width of its update. */
export const widest = (spectra: readonly Spectrum[]): number =>
  spectra.reduce((most, s) => Math.max(most, s.values.length), 0);
