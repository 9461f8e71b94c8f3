import { conv2d, linear, type Tensor } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Setting, Settings } from '../describe.ts';
import type { LayerCall } from '../scope.ts';
import { type AddedParameter, type LowRankUpdate, MethodError } from './method.ts';
import { resolveTargets } from './targets.ts';

/** Settings that the methods of LoRA's kind share. */
export const loraSettings: Record<'r' | 'alpha' | 'rslora' | 'scale' | 'dropout' | 'targets', Setting> = {
  r: {
    key: 'r',
    label: 'Rank',
    kind: 'integer',
    default: 8,
    min: 1,
    max: 256,
    step: 1,
    scale: 'log',
    primary: true,
    live: false,
    help: 'Width of the update: a higher rank can change more and makes a larger file.',
  },
  alpha: {
    key: 'lora_alpha',
    label: 'Alpha',
    kind: 'number',
    default: 16,
    min: 0.5,
    max: 512,
    step: 0.5,
    scale: 'log',
    primary: false,
    live: false,
    help: 'The update is multiplied by alpha divided by rank, or by its root where the scale is stabilised.',
  },
  rslora: {
    key: 'use_rslora',
    label: 'Rank-stabilised scale',
    kind: 'boolean',
    default: false,
    primary: false,
    live: false,
    help: 'Divides alpha by the root of the rank (rsLoRA), so that high ranks go on learning as fast as low ones.',
  },
  scale: {
    key: 'scale',
    label: 'LoRA scale',
    kind: 'number',
    default: 1,
    min: 0,
    max: 2,
    step: 0.05,
    primary: false,
    live: true,
    help: 'Multiplies the update once more; 0 shows the frozen backbone under the trained head.',
  },
  dropout: {
    key: 'lora_dropout',
    label: 'Dropout',
    kind: 'number',
    default: 0,
    min: 0,
    max: 0.9,
    step: 0.05,
    primary: false,
    live: false,
    help: 'Share of the inputs of the update that a training step leaves out.',
  },
  targets: {
    key: 'target_modules',
    label: 'Target modules',
    kind: 'modules',
    default: [],
    primary: true,
    live: false,
    help: 'The layers that get an update. More layers learn more and cost more.',
  },
};

/** alpha / r, or alpha / √r where the scale is rank-stabilised (Kalajdzievski, 2023, eq. 3). */
export function loraScale(settings: Settings): number {
  const r = settings.r as number;
  return (settings.lora_alpha as number) / (settings.use_rslora ? Math.sqrt(r) : r);
}

/** The targets, in the model's order. Throws `MethodError` where `method` cannot adapt one of them. */
export function loraTargets(
  modules: readonly ModuleCard[],
  settings: Settings,
  method: string,
): Map<string, ModuleCard> {
  const found = resolveTargets(modules, settings.target_modules as string[]);
  const grouped = found.find((m) => m.kind === 'conv2d' && m.grouped);
  if (grouped)
    throw new MethodError(
      `'${grouped.path}' is a grouped convolution, which ${method} does not adapt. Leave it out of the target modules.`,
    );
  return new Map(found.map((m) => [m.path, m]));
}

/** Those of `loraTargets` that are matrices: linear layers and 1×1 convolutions. */
export function matrixTargets(
  modules: readonly ModuleCard[],
  settings: Settings,
  method: string,
): Map<string, ModuleCard> {
  const found = loraTargets(modules, settings, method);
  const wide = [...found.values()].find((m) => m.shape.slice(2).some((k) => k > 1));
  if (wide)
    throw new MethodError(
      `'${wide.path}' is a convolution of ${wide.shape.slice(2).join('×')}, and ${method} takes linear layers and 1×1 convolutions. Leave it out of the target modules.`,
    );
  return found;
}

/** Names of a module's factors, as PEFT has them. */
export const factorNames = (path: string) => ({ a: `${path}.lora_A.weight`, b: `${path}.lora_B.weight` });

/** Shapes of a module's factors: a convolution's first keeps its kernel, the second is 1×1 (PEFT's Conv2d LoRA). */
export function factorShapes({ shape: [out, inputs, ...kernel] }: ModuleCard, rank: number) {
  return { a: [rank, inputs, ...kernel], b: [out, rank, ...kernel.map(() => 1)] };
}

/** Inputs of one output: channels times taps. */
export function fanIn({ shape: [, ...rest] }: ModuleCard): number {
  return rest.reduce((n, d) => n * d, 1);
}

/** A drawn at random, B zero: an update that is nothing at the start. */
export function factors(m: ModuleCard, rank: number): AddedParameter[] {
  const [names, shapes] = [factorNames(m.path), factorShapes(m, rank)];
  const count = rank * fanIn(m);
  // PyTorch's kaiming_uniform_ with a = √5 draws from ±1/√fan_in.
  const bound = 1 / Math.sqrt(fanIn(m));
  return [
    {
      name: names.a,
      shape: shapes.a,
      initial: (random) => Float32Array.from({ length: count }, () => (2 * random() - 1) * bound),
    },
    { name: names.b, shape: shapes.b, initial: () => new Float32Array(m.shape[0] * rank) },
  ];
}

/** b a x; a convolution's first factor keeps its kernel, stride and padding. */
export function applyFactors(call: LayerCall, x: Tensor, a: Tensor, b: Tensor): Tensor {
  return call.kind === 'linear' ? linear(linear(x, a), b) : conv2d(conv2d(x, a, call.options), b);
}

type Factor = LowRankUpdate['a'];

export function scaled(t: Factor, by: number): Factor {
  return by === 1 ? t : { shape: t.shape, data: t.data.map((x) => x * by) };
}

/** Files may carry ranks that differ by module; zero rows and columns bring all to the largest without a change. */
export function padRows(t: Factor, rows: number): Factor {
  if (t.shape[0] === rows) return t;
  const data = new Float32Array((t.data.length / t.shape[0]) * rows);
  data.set(t.data);
  return { shape: [rows, ...t.shape.slice(1)], data };
}

export function padColumns(t: Factor, columns: number): Factor {
  const [out, r, ...rest] = t.shape;
  if (r === columns) return t;
  const data = new Float32Array(out * columns);
  for (let i = 0; i < out; i++) data.set(t.data.subarray(i * r, (i + 1) * r), i * columns);
  return { shape: [out, columns, ...rest], data };
}
