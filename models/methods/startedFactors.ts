import { add, mul, sub } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { applyFactors, factorNames, factorShapes, fanIn, loraScale } from './loraParts.ts';
import type { Matrix } from './math/matrix.ts';
import { transpose } from './math/matrix.ts';
import { type Attachment, type Base, type LowRankUpdate, MethodError, type Tensors } from './method.ts';

/** Factors that a part of the frozen weight is split into: scale × b a, with a [r, fan-in] and b [out, r]. */
export interface StartFactors {
  a: Float32Array;
  b: Float32Array;
}

type StartOf = (module: ModuleCard, base: Base) => Promise<StartFactors>;

/**
 * An attachment whose factors start as a part of the frozen weight: y = W x + s (B A - B₀ A₀) x. This is W₀ x + s B A x
 * with the part taken out of W₀ as the papers have it, but leaves the frozen weights alone and starts at them to the
 * bit. A₀ and B₀ are buffers. Throws `MethodError` for a rank beyond what a target has.
 */
export function startedAttachment(
  targets: ReadonlyMap<string, ModuleCard>,
  settings: Settings,
  startOf: StartOf,
): Attachment {
  const rank = settings.r as number;
  for (const m of targets.values()) {
    const most = Math.min(m.shape[0], fanIn(m));
    if (rank > most)
      throw new MethodError(
        `'${m.path}' has ${most} directions, and the rank is ${rank}. Choose a rank of at most ${most}, or leave it out of the target modules.`,
      );
  }
  const start = remembered(startOf);
  const tensors = [...targets.values()].flatMap((m) => {
    const [names, shapes] = [factorNames(m.path), factorShapes(m, rank)];
    const initial = (f: 'a' | 'b') => async (_: () => number, base: Base) => (await start(m, base))[f];
    return (['a', 'b'] as const).map((f) => ({ name: names[f], shape: shapes[f], initial: initial(f) }));
  });
  return {
    targets: [...targets.keys()],
    parameters: tensors,
    buffers: tensors.map((t) => ({ ...t, name: startName(t.name) })),
    knobs: [{ name: 'scale', value: settings.scale as number }],
    intercept: (own) => ({
      layer(call) {
        if (!targets.has(call.path)) return null;
        const { a, b } = factorNames(call.path);
        const x = own.dropout(call.x, settings.lora_dropout as number);
        const now = applyFactors(call, x, own.parameter(a), own.parameter(b));
        const before = applyFactors(call, x, own.buffer(startName(a)), own.buffer(startName(b)));
        return add(call.frozen(), mul(sub(now, before), mul(own.knob('scale'), loraScale(settings))));
      },
    }),
  };
}

const startName = (name: string) => name.replace(/\.weight$/, '.start');

/** Each start is found once: a module's factors and their copies ask for the same. */
function remembered(startOf: StartOf): StartOf {
  const known = new WeakMap<Base, Map<string, Promise<StartFactors>>>();
  return (module, base) => {
    const starts = known.get(base) ?? new Map<string, Promise<StartFactors>>();
    known.set(base, starts);
    const start = starts.get(module.path) ?? startOf(module, base);
    starts.set(module.path, start);
    return start;
  };
}

/** B A - B₀ A₀ as one update of twice the rank: [B, -B₀] [A; A₀]. */
export function startedUpdates(
  attachment: Attachment,
  settings: Settings,
  tensors: Tensors,
): LowRankUpdate[] {
  return attachment.targets.map((path) => {
    const names = factorNames(path);
    const [a, b] = [tensors.get(names.a)!, tensors.get(names.b)!];
    const [a0, b0] = [tensors.get(startName(names.a))!, tensors.get(startName(names.b))!];
    const r = a.shape[0];
    const below = new Float32Array(2 * a.data.length);
    below.set(a.data);
    below.set(a0.data, a.data.length);
    const beside = new Float32Array(2 * b.data.length);
    for (let i = 0; i < b.data.length; i++) {
      const at = 2 * r * Math.floor(i / r) + (i % r);
      beside[at] = b.data[i];
      beside[at + r] = -b0.data[i];
    }
    return {
      path,
      a: { shape: [2 * r, ...a.shape.slice(1)], data: below },
      b: { shape: [b.shape[0], 2 * r, ...b.shape.slice(2)], data: beside },
      scale: loraScale(settings) * (settings.scale as number),
    };
  });
}

/** Components values[i] leftᵢᵀ rightᵢ as factors of `scale`, their strength shared evenly. */
export function componentFactors(
  values: ArrayLike<number>,
  left: Matrix,
  right: Matrix,
  scale: number,
): StartFactors {
  const root = (i: number) => Math.sqrt(values[i] / scale);
  const columns = transpose(left);
  return {
    a: Float32Array.from(right.data, (x, i) => x * root(Math.floor(i / right.columns))),
    b: Float32Array.from(columns.data, (x, i) => x * root(i % columns.columns)),
  };
}
