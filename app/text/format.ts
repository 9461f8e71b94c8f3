/** Numbers as a person reads them. Every function gives a fixed shape for its range, so columns do not jump. */

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const count = (n: number): string => grouped.format(n);

/** What one sample of a kind of data set is called. */
export const sampleNoun = { image: 'image', audio: 'sound', text: 'text' } as const;

/** 0.52 → `0.5 s`, 75 → `1:15`. */
export function length(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** `1 image`, `2 images`. */
export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${count(n)} ${n === 1 ? one : many}`;

/** 412345 → `412 k`, 4650000 → `4.65 M`. */
export function compact(n: number): string {
  const units: [number, string][] = [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ];
  for (const [size, unit] of units) if (Math.abs(n) >= size) return three(n / size) + unit;
  return String(Math.round(n));
}

/** Decimal bytes, as file managers show them: 1634000 → `1.63 MB`. */
export function bytes(n: number): string {
  const units: [number, string][] = [
    [1e9, ' GB'],
    [1e6, ' MB'],
    [1e3, ' kB'],
  ];
  for (const [size, unit] of units) if (n >= size) return three(n / size) + unit;
  return `${Math.round(n)} B`;
}

/** Three significant digits without an exponent. */
export function three(n: number): string {
  const magnitude = Math.abs(n);
  return n.toFixed(magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2);
}

/** 0.9452 → `94.5 %`. */
export const percent = (fraction: number, digits = 1): string =>
  Number.isFinite(fraction) ? `${(fraction * 100).toFixed(digits)} %` : 'n/a';

/** `91.2–96.6 %`: an interval shares one unit. */
export const interval = (low: number, high: number): string =>
  `${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)} %`;

/** Seconds as `8 s`, `2 min 05 s`, `1 h 12 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return 'unknown';
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** A time of day or a date, whichever says more. */
export function moment(at: number, now = Date.now()): string {
  const seconds = Math.max(0, (now - at) / 1000);
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(at).toLocaleDateString('en', { day: 'numeric', month: 'short' });
}

/** A setting's value: `0.001`, `1e-5`, `8`. Short enough for a field, exact enough to come back unchanged. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential().replace('e-0', 'e-');
  return String(Number(value.toPrecision(6)));
}

/** A loss: four significant digits, never an exponent above 1e-4. */
export function loss(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const magnitude = Math.abs(value);
  return magnitude >= 100 ? value.toFixed(0) : magnitude >= 10 ? value.toFixed(2) : value.toFixed(3);
}
