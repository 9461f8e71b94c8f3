import { sparseLayout } from '../../gpu-shaders/index.ts';
import type { SparseUpdate } from './math/sparse.ts';
import {
  MethodError,
  type ModelDescription,
  type ModuleUpdate,
  type PeftContent,
  type PeftForm,
  type Tensors,
} from './method.ts';
import { shiraNames, shiraUpdates } from './shiraMask.ts';

const INDICES = '.shira_indices';

/**
 * PEFT's SHIRA: `shira_weight` [n] and `shira_indices` [2, n], rows then columns, with n = r (in + out) in every module
 * and one r for all. It is filled up with zeros at entries that nothing trains. Throws `MethodError` where a module has
 * no room for the others' r.
 */
export function sparseContent(updates: readonly ModuleUpdate[], maskType: string): PeftContent {
  const r = Math.max(1, ...updates.map((u) => Math.ceil(u.positions.length / (u.rows + u.columns))));
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const u of updates) {
    const n = r * (u.rows + u.columns);
    if (n > u.rows * u.columns)
      throw new MethodError(
        `A SHIRA file holds ${n} entries of '${u.path}', which has ${u.rows * u.columns}. Train a smaller share, or leave small layers out of the targets.`,
      );
    const { positions, values } = filledUp(u, n);
    tensors.set(shiraNames(u.path).weight, { shape: [n], data: values });
    const indices = new Float32Array(2 * n);
    positions.forEach((p, k) => {
      indices[k] = Math.floor(p / u.columns);
      indices[n + k] = p % u.columns;
    });
    tensors.set(`${u.path}${INDICES}`, { shape: [2, n], data: indices });
  }
  const config = {
    peft_type: 'SHIRA',
    r,
    mask_type: maskType,
    random_seed: null,
    fan_in_fan_out: false,
    init_weights: true,
    target_modules: updates.map((u) => u.path).sort(),
  };
  return { config, tensors, integers: INDICES };
}

/** The same update with zeros at the first entries it leaves alone. */
function filledUp({ positions, values }: SparseUpdate, count: number): SparseUpdate {
  const own = new Map(Array.from(positions, (p, k) => [p, values[k]] as const));
  let left = count - positions.length;
  for (let p = 0; left > 0; p++)
    if (!own.has(p)) {
      own.set(p, 0);
      left--;
    }
  const all = Uint32Array.from(own.keys()).sort();
  return { positions: all, values: Float32Array.from(all, (p) => own.get(p)!) };
}

/** The updates in such a file. Throws `MethodError` where it is not whole, or of another model. */
export function readSparse({ tensors }: PeftContent, model: ModelDescription): ModuleUpdate[] {
  const paths = [...tensors.keys()].flatMap((name) => /^(.*)\.shira_weight$/.exec(name)?.[1] ?? []);
  return paths.map((path) => {
    const values = tensors.get(shiraNames(path).weight)!.data;
    const indices = tensors.get(`${path}${INDICES}`)?.data;
    const shape = model.modules.find((m) => m.path === path)?.shape;
    if (!indices || indices.length !== 2 * values.length || !shape)
      throw new MethodError(
        `The adapter's entries of '${path}' are not whole. Save it again, or open another copy.`,
      );
    const [rows, columns] = [shape[0], shape.slice(1).reduce((n, d) => n * d, 1)];
    const order = [...values.keys()];
    const at = (k: number) => indices[k] * columns + indices[values.length + k];
    order.sort((a, b) => at(a) - at(b));
    if (order.some((k, i) => at(k) >= rows * columns || (i && at(order[i - 1]) === at(k))))
      throw new MethodError(
        `The adapter has entries that '${path}' has not. Choose the backbone it was trained on.`,
      );
    return {
      path,
      rows,
      columns,
      positions: Uint32Array.from(order, at),
      values: Float32Array.from(order, (k) => values[k]),
    };
  });
}

export const shiraForm: PeftForm = {
  type: 'SHIRA',
  accepts: ({ mask_type }) => mask_type !== 'lt-sft',
  write: (attachment, settings, tensors) =>
    sparseContent(shiraUpdates(attachment, settings, tensors), settings.mask as string),
  read(content, model) {
    const updates = readSparse(content, model);
    const tensors = updates.flatMap(({ path, rows, columns, positions, values }) => {
      const names = shiraNames(path);
      const layout = Float32Array.from(sparseLayout(positions, rows, columns));
      return [
        [names.weight, { shape: [values.length], data: values }] as const,
        [names.layout, { shape: [layout.length], data: layout }] as const,
      ];
    });
    const settings = {
      density: 2,
      mask: 'random',
      r: content.config.r as number,
      rate: 1,
      scale: 1,
      target_modules: updates.map((u) => u.path),
    };
    return { settings, tensors: new Map(tensors) as Tensors };
  },
};
