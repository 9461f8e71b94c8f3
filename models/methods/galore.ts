import { add, mul } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { applyFactors, factorShapes, fanIn, loraSettings, loraTargets } from './loraParts.ts';
import { identity, matrixOf, transpose } from './math/matrix.ts';
import { topDirections } from './math/rangeFinder.ts';
import { addProduct } from './merge.ts';
import {
  type Attachment,
  type LowRankUpdate,
  type Method,
  MethodError,
  type Refresh,
  type Tensors,
} from './method.ts';
import { weightGradients } from './weightGradients.ts';

/**
 * All of a weight trains, in a subspace at a time: y = (W + Δ + c P) x, or P c for a wide weight, with P the strongest
 * directions of the gradient on its smaller side (Zhao et al., 2024, algorithm 2). A step on c is a step on R = G Pᵀ; every
 * T steps c P goes into Δ, P is taken anew, and the moments of c stay as they are. Decay is off: c is no weight.
 */
export const galore: Method = {
  card: {
    id: 'galore',
    title: 'GaLore',
    about:
      'Trains whole weights, but keeps the optimiser’s memory for a few directions of the gradient at a time.',
    paper: {
      title: 'GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection',
      year: 2024,
      url: 'arxiv.org/abs/2403.03507',
    },
    formula: 'W + galore_delta:Δ + galore_step:c · galore_projection:P',
    channels: [],
    settings: [
      {
        ...loraSettings.r,
        label: 'Directions',
        help: 'Directions of the gradient that train at a time: more follow it closer and keep more in memory.',
      },
      {
        key: 'update_proj_gap',
        label: 'Steps in a subspace',
        kind: 'integer',
        default: 50,
        min: 1,
        max: 10000,
        step: 1,
        scale: 'log',
        primary: true,
        live: false,
        help: 'Steps after which the directions are taken anew from the gradient.',
      },
      {
        key: 'galore_scale',
        label: 'Scale of a step',
        kind: 'number',
        default: 0.25,
        min: 0.01,
        max: 16,
        step: 0.01,
        scale: 'log',
        primary: true,
        live: false,
        help: 'Multiplies the learning rate for the weights, against that of the head.',
      },
      {
        ...loraSettings.r,
        key: 'export_rank',
        label: 'Rank of the LoRA file',
        default: 0,
        min: 0,
        max: 1024,
        scale: 'linear',
        primary: false,
        help: 'Cuts the update to this rank for PEFT’s file; 0 keeps all of it, in a larger file.',
      },
      { ...loraSettings.scale, label: 'GaLore scale' },
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = loraTargets(model.modules, settings, 'GaLore');
    const modules = [...targets.values()];
    const r = settings.r as number;
    for (const m of modules) {
      const most = Math.min(m.shape[0], fanIn(m));
      if (r > most)
        throw new MethodError(
          `'${m.path}' has ${most} directions, and ${r} are to train. Choose at most ${most}, or leave it out of the target modules.`,
        );
    }
    const rule = { rate: settings.galore_scale as number, decay: false };
    return {
      targets: [...targets.keys()],
      parameters: modules.map((m) => ({
        name: names(m.path).step,
        shape: placesOf(m, r).step,
        initial: () => new Float32Array(count(placesOf(m, r).step)),
        rule,
      })),
      buffers: modules.flatMap((m) => [
        { name: names(m.path).delta, shape: m.shape, initial: () => new Float32Array(count(m.shape)) },
        {
          name: names(m.path).projection,
          shape: placesOf(m, r).projection,
          initial: async (draw, base) =>
            projectionOf(m, (await weightGradients([...targets.keys()], base)).get(m.path)!, r, draw),
        },
      ]),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      refresh: subspaces(modules, settings),
      intercept: (own) => ({
        layer(call) {
          const m = targets.get(call.path);
          if (!m) return null;
          const { step, delta, projection } = names(call.path);
          const [c, p] = [own.parameter(step), own.buffer(projection)];
          const moving = isWide(m) ? applyFactors(call, call.x, c, p) : applyFactors(call, call.x, p, c);
          const update = add(call.apply(own.buffer(delta)), moving);
          return add(call.frozen(), mul(update, own.knob('scale')));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const path of attachment.targets) {
      const name = `${path}.weight`;
      const update = galoreDelta(path, tensors);
      const scale = settings.scale as number;
      merged.set(
        name,
        (await base.weight(name)).map((w, i) => w + scale * update[i]),
      );
    }
    return merged;
  },

  toLowRank: (attachment, settings, tensors) =>
    attachment.targets.map((path) => {
      const delta = galoreDelta(path, tensors);
      const { shape } = tensors.get(names(path).delta)!;
      return lowRank(path, { shape, data: delta }, settings);
    }),
};

const names = (path: string) => ({
  step: `${path}.galore_step`,
  delta: `${path}.galore_delta`,
  projection: `${path}.galore_projection`,
});

const count = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

/** Whether the projection is on the side of the outputs, which is the smaller. */
const isWide = (m: ModuleCard) => m.shape[0] < fanIn(m);

function placesOf(m: ModuleCard, r: number) {
  const { a, b } = factorShapes(m, r);
  return isWide(m) ? { step: a, projection: b } : { step: b, projection: a };
}

/** The strongest directions of a gradient: right vectors in rows [r, in], or left ones in columns [out, r]. */
function projectionOf(m: ModuleCard, gradient: Float32Array, r: number, draw: () => number): Float32Array {
  const { left, right } = topDirections(matrixOf({ shape: m.shape, data: gradient }), r, draw);
  return Float32Array.from((isWide(m) ? transpose(left) : right).data);
}

/** Everything that a weight has moved by: Δ, and the step within the subspace. */
export function galoreDelta(path: string, tensors: Tensors): Float32Array {
  const [delta, c, p] = [names(path).delta, names(path).step, names(path).projection].map(
    (n) => tensors.get(n)!,
  );
  const wide = delta.shape[0] < delta.data.length / delta.shape[0];
  return addProduct(delta.data, wide ? { a: c, b: p, scale: 1 } : { a: p, b: c, scale: 1 });
}

function subspaces(modules: readonly ModuleCard[], settings: Settings): Refresh {
  const [r, every] = [settings.r as number, settings.update_proj_gap as number];
  return {
    due: ({ step }) => step > 0 && step % every === 0,
    async apply(live) {
      for (const m of modules) {
        const { step, delta, projection } = names(m.path);
        const shapes = placesOf(m, r);
        const tensors: Tensors = new Map([
          [step, { shape: shapes.step, data: await live.read(step) }],
          [projection, { shape: shapes.projection, data: await live.read(projection) }],
          [delta, { shape: m.shape, data: await live.read(delta) }],
        ]);
        live.write(delta, galoreDelta(m.path, tensors));
        live.write(step, new Float32Array(count(shapes.step)));
      }
      const found = await live.gradients(modules.map((m) => names(m.path).delta));
      for (const m of modules)
        live.write(
          names(m.path).projection,
          projectionOf(m, found.get(names(m.path).delta)!, r, () => live.draw()),
        );
    },
  };
}

/** The update as LoRA's factors: all of it beside an identity, or its strongest directions. */
function lowRank(path: string, delta: LowRankUpdate['a'], settings: Settings): LowRankUpdate {
  const m = matrixOf(delta);
  const kernel = delta.shape.slice(2);
  const least = Math.min(m.rows, m.columns);
  const rank = Math.min((settings.export_rank as number) || least, least);
  const factors = rank === least ? whole(m.rows, m.columns, delta.data) : cut(m, rank);
  return {
    path,
    a: { shape: [rank, delta.shape[1], ...kernel], data: factors.a },
    b: { shape: [delta.shape[0], rank, ...kernel.map(() => 1)], data: factors.b },
    scale: settings.scale as number,
  };
}

function whole(rows: number, columns: number, delta: Float32Array) {
  const unit = Float32Array.from(identity(Math.min(rows, columns)).data);
  return rows <= columns ? { a: delta, b: unit } : { a: unit, b: delta };
}

function cut(m: ReturnType<typeof matrixOf>, rank: number) {
  // Any stream does: the directions found do not depend on where the search begins.
  let state = 1;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const { values, left, right } = topDirections(m, rank, draw);
  const columns = transpose(left);
  return {
    a: Float32Array.from(right.data),
    b: Float32Array.from(columns.data, (x, i) => x * values[i % rank]),
  };
}

/** Share of each target's update, in its Frobenius norm, that the LoRA file of `export_rank` leaves out. */
export function exportErrors(
  attachment: Pick<Attachment, 'targets'>,
  settings: Settings,
  tensors: Tensors,
): Map<string, number> {
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((n, v) => n + v * v, 0));
  return new Map(
    attachment.targets.map((path) => {
      const data = galoreDelta(path, tensors);
      const update = lowRank(
        path,
        { shape: tensors.get(names(path).delta)!.shape, data },
        { ...settings, scale: 1 },
      );
      const left = addProduct(data, { ...update, scale: -1 });
      return [path, norm(data) ? norm(left) / norm(data) : 0];
    }),
  );
}

/**
 * Floats that the optimiser keeps for weights [rows, columns]: both moments and the projection, 2 r max + r min, against
 * Adam's two moments of everything.
 */
export function stateFloats(matrices: readonly (readonly [number, number])[], r: number) {
  const sum = (f: (rows: number, columns: number) => number) =>
    matrices.reduce((n, [a, b]) => n + f(a, b), 0);
  return {
    galore: sum((a, b) => 2 * r * Math.max(a, b) + r * Math.min(a, b)),
    adam: sum((a, b) => 2 * a * b),
  };
}
