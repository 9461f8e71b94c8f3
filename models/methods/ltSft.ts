import { abs, add, mul, reduceSum } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { loraSettings, loraTargets } from './loraParts.ts';
import { drawn, strongest, switchIn } from './math/sparse.ts';
import {
  type Attachment,
  type LiveTensors,
  type Method,
  MethodError,
  type ModuleUpdate,
  type Refresh,
  type Tensors,
} from './method.ts';

/**
 * The lottery ticket way to a sparse change of the weights (Ansell et al., 2022, 3): first everything trains; the K entries
 * of all targets together that moved farthest are kept, everything goes back to the start, and those K train again.
 * Changes that were learnt apart are composed by addition. Decay is off and entries without a gradient stay as they are,
 * so that exactly the K move.
 */
export const ltSft: Method = {
  card: {
    id: 'lt-sft',
    title: 'Composable sparse fine-tuning',
    about: 'Finds the few weights that matter by training all of them once, then trains only those.',
    paper: {
      title: 'Composable Sparse Fine-Tuning for Cross-Lingual Transfer',
      year: 2022,
      url: 'arxiv.org/abs/2110.07560',
    },
    formula: 'W + sft_delta:Δ@entries',
    channels: ['mask'],
    settings: [
      {
        key: 'density',
        label: 'Kept share',
        kind: 'number',
        default: 8,
        min: 0.01,
        max: 100,
        step: 0.01,
        scale: 'log',
        unit: '%',
        primary: true,
        live: false,
        help: 'Share of all targets’ weights together that train in the second phase and change in the end.',
      },
      {
        key: 'first_phase',
        label: 'First phase',
        kind: 'number',
        default: 0.25,
        min: 0.05,
        max: 0.9,
        step: 0.05,
        primary: true,
        live: false,
        help: 'Share of the run that trains everything to find out which weights matter.',
      },
      {
        key: 'selection',
        label: 'Which weights',
        kind: 'choice',
        default: 'moved',
        options: [
          { value: 'moved', label: 'Those that moved farthest' },
          { value: 'random', label: 'Random, as a control' },
        ],
        primary: true,
        live: false,
        help: 'How the weights that train in the second phase are chosen.',
      },
      {
        key: 'rate',
        label: 'Rate of the weights',
        kind: 'number',
        default: 0.1,
        min: 0.001,
        max: 10,
        step: 0.001,
        scale: 'log',
        primary: false,
        live: false,
        help: 'Multiplies the learning rate for the weights, which bear less than the head when all of them train.',
      },
      {
        key: 'l1',
        label: 'Pull to the start',
        kind: 'number',
        default: 0,
        min: 0,
        max: 10,
        step: 0.01,
        primary: false,
        live: false,
        help: 'Adds this times the mean distance of the weights from their start to the loss.',
      },
      { ...loraSettings.scale, label: 'Strength' },
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = loraTargets(model.modules, settings, 'Composable sparse fine-tuning');
    const modules = [...targets.values()];
    const total = modules.reduce((n, m) => n + count(m), 0);
    return {
      targets: [...targets.keys()],
      parameters: modules.map((m) => ({
        name: names(m.path).delta,
        shape: m.shape,
        initial: () => new Float32Array(count(m)),
        rule: { rate: settings.rate as number, sparse: true, decay: false },
      })),
      buffers: modules.map((m) => ({
        name: names(m.path).mask,
        shape: m.shape,
        initial: () => new Float32Array(count(m)).fill(1),
      })),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      refresh: secondPhase(modules, settings),
      penalty: settings.l1
        ? (own) => {
            const distances = modules.map((m) => {
              const { delta, mask } = names(m.path);
              return reduceSum(abs(mul(own.parameter(delta), own.buffer(mask))));
            });
            return mul(distances.reduce(add), (settings.l1 as number) / total);
          }
        : undefined,
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          const { delta, mask } = names(call.path);
          const moved = mul(own.parameter(delta), own.buffer(mask));
          return add(call.frozen(), mul(call.apply(moved), own.knob('scale')));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const { path, ...update } of sftUpdates(attachment, settings, tensors)) {
      const weight = (await base.weight(`${path}.weight`)).slice();
      switchIn(weight, update);
      merged.set(`${path}.weight`, weight);
    }
    return merged;
  },

  toSparse: (attachment, settings, tensors) => sftUpdates(attachment, settings, tensors),

  masks(attachment, tensors) {
    if (!isChosen(attachment, tensors)) return [];
    return attachment.targets.map((path) => {
      const { shape, data } = tensors.get(names(path).mask)!;
      return { path, shape: [shape[0], data.length / shape[0]] as const, indices: setOf(data) };
    });
  },

  paint(attachment, tensors, { path, mode, part }) {
    if (!isChosen(attachment, tensors))
      throw new MethodError('The mask is chosen after the first phase. Paint in it when that is done.');
    const { delta, mask } = names(path);
    if (!tensors.has(mask))
      throw new MethodError(`'${path}' has no mask: it is not among the targets. Paint in one of them.`);
    const { shape, data } = tensors.get(mask)!;
    const columns = data.length / shape[0];
    const [now, learnt] = [data.slice(), tensors.get(delta)!.data.slice()];
    const value = mode === 'in' ? 1 : 0;
    const moved: number[] = [];
    for (let row = part.top; row < part.bottom; row++)
      for (let column = part.left; column < part.right; column++) {
        const at = row * columns + column;
        if (now[at] === value) continue;
        now[at] = value;
        learnt[at] = 0;
        moved.push(at);
      }
    return {
      tensors: new Map([
        [mask, now],
        [delta, learnt],
      ]),
      fresh: new Map([[delta, moved]]),
    };
  },
};

const names = (path: string) => ({ delta: `${path}.sft_delta`, mask: `${path}.sft_mask` });

const count = (m: ModuleCard) => m.shape.reduce((n, d) => n * d, 1);

const setOf = (mask: Float32Array) => Uint32Array.from(mask.keys()).filter((i) => mask[i] !== 0);

/** Whether some entry of some mask is out, as it is when the second phase has begun. */
const isChosen = (attachment: Attachment, tensors: Tensors) =>
  attachment.targets.some((path) => tensors.get(names(path).mask)!.data.includes(0));

/** Entries that are kept of `total`. */
export const keptEntries = (total: number, settings: Settings) =>
  Math.max(1, Math.round((total * (settings.density as number)) / 100));

function secondPhase(modules: readonly ModuleCard[], settings: Settings): Refresh {
  const switchAt = (steps: number) =>
    Math.min(steps - 1, Math.max(1, Math.round(steps * (settings.first_phase as number))));
  return {
    due: ({ step, steps }) => step > 0 && step === switchAt(steps),
    async apply(live) {
      const deltas = await Promise.all(modules.map((m) => live.read(names(m.path).delta)));
      const chosen = choose(deltas, settings, live);
      for (const [i, m] of modules.entries()) {
        const { delta, mask } = names(m.path);
        const nothing = new Float32Array(deltas[i].length);
        live.write(mask, chosen[i]);
        live.write(delta, nothing);
        live.writeMoments(delta, nothing, nothing);
      }
    },
  };
}

/** Masks of the entries that moved farthest, over all targets together. */
function choose(
  deltas: readonly Float32Array[],
  settings: Settings,
  live: Pick<LiveTensors, 'draw'>,
): Float32Array[] {
  const total = deltas.reduce((n, d) => n + d.length, 0);
  const moved = new Float32Array(total);
  const starts = deltas.map((_, i) => deltas.slice(0, i).reduce((n, d) => n + d.length, 0));
  deltas.forEach((d, i) => {
    moved.set(d.map(Math.abs), starts[i]);
  });
  const kept = Math.min(total, keptEntries(total, settings));
  const chosen =
    settings.selection === 'random' ? drawn(kept, total, () => live.draw()) : strongest(moved, kept);
  const flat = new Float32Array(total);
  for (const p of chosen) flat[p] = 1;
  return deltas.map((d, i) => flat.slice(starts[i], starts[i] + d.length));
}

/** What each target's weight gets added, the strength in it: at most K entries over all of them. */
export function sftUpdates(
  attachment: Pick<Attachment, 'targets'>,
  settings: Settings,
  tensors: Tensors,
): ModuleUpdate[] {
  const scale = settings.scale as number;
  return attachment.targets.map((path) => {
    const { data } = tensors.get(names(path).delta)!;
    const mask = tensors.get(names(path).mask)!.data;
    const positions = setOf(mask).filter((p) => data[p] !== 0);
    const rows = tensors.get(names(path).mask)!.shape[0];
    const values = Float32Array.from(positions, (p) => data[p] * scale);
    return { path, rows, columns: data.length / rows, positions, values };
  });
}
