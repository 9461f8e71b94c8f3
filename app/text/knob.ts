import type { Setting } from '../../models/describe.ts';

/** Positions of a slider; fine enough that a log scale over eight decades moves by about 2 % a notch. */
export const NOTCHES = 1000;

/** Where a value lies on its slider, 0 to NOTCHES. */
export function toSlider(setting: Setting, value: number): number {
  const [low, high] = range(setting);
  if (setting.scale === 'log') {
    const floor = logFloor(setting);
    if (value < floor) return 0;
    return Math.round((NOTCHES * Math.log(value / floor)) / Math.log(high / floor));
  }
  return Math.round((NOTCHES * (value - low)) / (high - low));
}

/** The value at a slider's position, rounded to the setting's step or, on a log scale, to two digits. */
export function fromSlider(setting: Setting, notch: number): number {
  const [low, high] = range(setting);
  if (setting.scale === 'log') {
    if (notch <= 0) return low;
    const floor = logFloor(setting);
    const raw = floor * (high / floor) ** (notch / NOTCHES);
    return clamp(setting, setting.kind === 'integer' ? Math.round(raw) : Number(raw.toPrecision(2)));
  }
  return clamp(setting, snap(setting, low + ((high - low) * notch) / NOTCHES));
}

/** One key press up or down: a step, or on a log scale the next of 1, 2, 5 (integers: double or half). */
export function nudge(setting: Setting, value: number, direction: 1 | -1): number {
  if (setting.scale !== 'log')
    return clamp(setting, snap(setting, value + direction * (setting.step ?? stepOf(setting))));
  if (value <= 0) return direction > 0 ? logFloor(setting) : clamp(setting, value);
  if (setting.kind === 'integer') return clamp(setting, direction > 0 ? value * 2 : Math.floor(value / 2));
  const decade = 10 ** Math.floor(Math.log10(value) + 1e-9);
  const ladder = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20].map((m) => Number((m * decade).toPrecision(1)));
  const next =
    direction > 0
      ? ladder.find((rung) => rung > value * 1.0001)
      : ladder.findLast((rung) => rung < value * 0.9999);
  return clamp(setting, next ?? value);
}

/** A typed text as a value, or why it is not one. */
export function parse(setting: Setting, text: string): { value: number } | { problem: string } {
  const value = Number(text.trim().replace(',', '.'));
  if (text.trim() === '' || !Number.isFinite(value)) return { problem: 'This needs a number.' };
  if (setting.kind === 'integer' && !Number.isInteger(value))
    return { problem: 'This needs a whole number.' };
  const [low, high] = [setting.min ?? -Infinity, setting.max ?? Infinity];
  if (value < low || value > high) return { problem: `This goes from ${low} to ${high}.` };
  return { value };
}

function clamp(setting: Setting, value: number): number {
  return Math.min(setting.max ?? Infinity, Math.max(setting.min ?? -Infinity, value));
}

function snap(setting: Setting, value: number): number {
  const step = setting.step ?? stepOf(setting);
  const low = setting.min ?? 0;
  return Number((low + Math.round((value - low) / step) * step).toPrecision(10));
}

function stepOf(setting: Setting): number {
  if (setting.kind === 'integer') return 1;
  const [low, high] = range(setting);
  return 10 ** Math.floor(Math.log10((high - low) / 100));
}

function range(setting: Setting): [number, number] {
  const low = setting.min ?? 0;
  return [low, setting.max ?? Math.max(low + 1, Number(setting.default) * 4)];
}

/** A log slider cannot reach zero: when the range starts there, its first notch is zero and the rest four decades. */
function logFloor(setting: Setting): number {
  const [low, high] = range(setting);
  return low > 0 ? low : high / 1e4;
}
