import { readLayout, sparseLayout } from '../../gpu-shaders/index.ts';
import type { MaskEdit, ModuleCard, Setting, Settings } from '../describe.ts';
import { fanIn } from './loraParts.ts';
import { drawn, lines, type SparseUpdate, strongest } from './math/sparse.ts';
import {
  type Attachment,
  type Base,
  MethodError,
  type Painted,
  type SparseMask,
  type Tensors,
} from './method.ts';
import { weightGradients } from './weightGradients.ts';

/** Which entries train. */
export const maskSetting: Setting = {
  key: 'mask',
  label: 'Mask',
  kind: 'choice',
  default: 'snip',
  options: [
    { value: 'random', label: 'Random' },
    { value: 'magnitude', label: 'Largest weights' },
    { value: 'gradient', label: 'Largest gradients' },
    { value: 'snip', label: 'Largest weight × gradient (SNIP)' },
    { value: 'structured', label: 'Diagonal, rows and columns' },
  ],
  primary: true,
  live: false,
  help: 'How the entries that train are chosen; gradients are those of the first training pictures.',
};

/** Names of a module's values, and of where they lie. */
export const shiraNames = (path: string) => ({
  weight: `${path}.shira_weight`,
  layout: `${path}.shira_layout`,
});

/** Entries of a module that train. Throws `MethodError` where that is more than it has. */
export function entriesOf(m: ModuleCard, settings: Settings): number {
  const size = m.shape[0] * fanIn(m);
  const r = settings.r as number;
  if (size > 2 ** 24)
    throw new MethodError(
      `'${m.path}' has ${size} weights, and a mask takes up to ${2 ** 24}. Leave it out of the target modules.`,
    );
  if (!r) return Math.max(1, Math.round((size * (settings.density as number)) / 100));
  const count = r * (m.shape[0] + fanIn(m));
  if (count > size)
    throw new MethodError(
      `'${m.path}' has ${size} weights, and a LoRA of rank ${r} has ${count} numbers. Choose a lower rank, or 0.`,
    );
  return count;
}

type MaskStart = (m: ModuleCard, count: number, draw: () => number, base: Base) => Promise<Uint32Array>;

/** The chosen positions of a module's weight, ascending. Gradients of all targets are taken at once. */
export function maskStart(settings: Settings, paths: readonly string[]): MaskStart {
  const gradientOf = async (path: string, base: Base) => (await weightGradients(paths, base)).get(path)!;
  return async (m, count, draw, base) => {
    const [rows, columns] = [m.shape[0], fanIn(m)];
    const weight = () => base.weight(`${m.path}.weight`);
    switch (settings.mask) {
      case 'random':
        return drawn(count, rows * columns, draw);
      case 'structured':
        return lines(rows, columns, count, draw);
      case 'magnitude':
        return strongest((await weight()).map(Math.abs), count);
      case 'gradient':
        return strongest((await gradientOf(m.path, base)).map(Math.abs), count);
      default: {
        const g = await gradientOf(m.path, base);
        return strongest(
          (await weight()).map((w, i) => Math.abs(w * g[i])),
          count,
        );
      }
    }
  };
}

/** A module's values and the entries that they stand for, as they are now. */
function slotsOf(path: string, tensors: Tensors) {
  const { weight, layout } = shiraNames(path);
  return { ...readLayout(tensors.get(layout)!.data), values: tensors.get(weight)!.data };
}

export function shiraMask(path: string, tensors: Tensors): SparseMask {
  const { rows, columns, positions } = slotsOf(path, tensors);
  return { path, shape: [rows, columns], indices: positions.filter((p) => p < rows * columns).sort() };
}

/** What each target's weight gets added, ascending, the scale in it. */
export function shiraUpdates(
  attachment: Pick<Attachment, 'targets'>,
  settings: Settings,
  tensors: Tensors,
): (SparseUpdate & { path: string; rows: number; columns: number })[] {
  const scale = settings.scale as number;
  return attachment.targets.map((path) => {
    const { rows, columns, positions, values } = slotsOf(path, tensors);
    const live = [...positions.keys()].filter((k) => positions[k] < rows * columns);
    live.sort((a, b) => positions[a] - positions[b]);
    return {
      path,
      rows,
      columns,
      positions: Uint32Array.from(live, (k) => positions[k]),
      values: Float32Array.from(live, (k) => values[k] * scale),
    };
  });
}

/**
 * Moves entries into a part or out of it. Out: their values are taken out of the weight and stand for nothing. In: the
 * values that stand for nothing, then the weakest from elsewhere in the module, become entries of the part, spread
 * evenly over what is free there. The number of values stays.
 */
export function paintLayout(_: Attachment, tensors: Tensors, { path, mode, part }: MaskEdit): Painted {
  const names = shiraNames(path);
  if (!tensors.has(names.layout))
    throw new MethodError(`'${path}' has no mask: SHiRA does not train it. Paint in one of its targets.`);
  const { rows, columns, positions, values } = slotsOf(path, tensors);
  const none = rows * columns;
  const inside = (p: number) => {
    const [row, column] = [Math.floor(p / columns), p % columns];
    return row >= part.top && row < part.bottom && column >= part.left && column < part.right;
  };
  const slots = [...positions.keys()];
  const within = slots.filter((k) => positions[k] < none && inside(positions[k]));
  let moved: number[];
  let places: number[];
  if (mode === 'out') {
    moved = within;
    places = within.map(() => none);
  } else {
    const others = slots.filter((k) => positions[k] >= none || !inside(positions[k]));
    const strength = (k: number) => (positions[k] >= none ? -1 : Math.abs(values[k]));
    others.sort((a, b) => strength(a) - strength(b) || a - b);
    const free = freeIn(part, columns, new Set(positions));
    const count = Math.min(others.length, free.length);
    moved = others.slice(0, count);
    places = moved.map((_, i) => free[Math.floor(((i + 0.5) * free.length) / count)]);
  }
  const [now, learnt] = [positions.slice(), values.slice()];
  moved.forEach((k, i) => {
    now[k] = places[i];
    learnt[k] = 0;
  });
  return {
    tensors: new Map([
      [names.layout, Float32Array.from(sparseLayout(now, rows, columns))],
      [names.weight, learnt],
    ]),
    fresh: new Map([[names.weight, moved]]),
  };
}

function freeIn(part: MaskEdit['part'], columns: number, taken: ReadonlySet<number>): number[] {
  const free: number[] = [];
  for (let row = part.top; row < part.bottom; row++)
    for (let column = part.left; column < part.right; column++)
      if (!taken.has(row * columns + column)) free.push(row * columns + column);
  return free;
}
