import { flatIndex, type KernelText, type KernelWriter } from '../compile/writer.ts';
import { sizeOf, type TensorType } from '../graph/tensor.ts';

/** Rows and their length when a tensor is seen as a list of its last axis. */
export function rowsOf(x: TensorType): { rows: number; width: number } {
  const width = x.shape.at(-1) ?? 1;
  return { rows: sizeOf(x.shape.slice(0, -1)), width };
}

/** A kernel with one invocation for each of `count` elements, `i` being its number. Grid: flat. */
export function flatKernel(
  w: KernelWriter,
  name: string,
  count: number,
  body: (k: KernelText) => string,
  workgroup = 64,
): void {
  const flat = flatIndex(count, workgroup);
  w.kernel(name, (k) => ({
    body: `${flat.head}\n${body(k)}`,
    workgroup: flat.workgroup,
    grid: flat.grid,
  }));
}

/** Invocations that compute a row together in the `group` form. */
const GROUP = 64;

/** Whether rows of this length are computed by a workgroup each. */
const grouped = (w: KernelWriter, width: number) => w.target.rows === 'group' && width >= GROUP;

/**
 * A kernel over rows of `width` elements, `row` being the number of one. In the `lone` form an invocation computes a
 * row, in registers; in the `group` form a workgroup does, its invocations taking every 64th element or group of four
 * and adding what they found in workgroup memory (256 bytes). Grid: flat over rows. Loops over a row go through
 * `rowLoop`, sums and maxima over it through `rowSum` and `rowTop`, a row's own results through `rowSet` and
 * `rowOnce`.
 */
export function rowKernel(
  w: KernelWriter,
  name: string,
  { rows, width }: { rows: number; width: number },
  body: (k: KernelText) => string,
): void {
  if (!grouped(w, width)) {
    flatKernel(w, name, rows, (k) => `  let row = i;\n${body(k)}`, 32);
    return;
  }
  const x = Math.max(1, Math.min(rows, 65535));
  w.kernel(name, (k) => ({
    body: `  let row = wid.y * groups.x + wid.x;\n  if (row >= ${rows}u) { return; }\n${body(k)}`,
    workgroup: [GROUP],
    grid: [x, Math.ceil(rows / x)],
  }));
}

/**
 * A loop over the elements of a row, four at a time where its length allows. `step` gets the vector type of an
 * element group, a reader of a tensor of the row's layout (`full`) or of a per-column tensor (`column`), and a
 * writer through the fused maps.
 */
export interface RowStep {
  type: 'vec4f' | 'f32';
  full(input: number): string;
  column(input: number): string;
  finish(value: string): string;
}

/** See `RowStep`. Declares `c`, the element or element-group number, in the loop. */
export function rowLoop(k: KernelText, w: KernelWriter, width: number, body: (s: RowStep) => string): string {
  const vec = width % 4 === 0;
  const n = vec ? width / 4 : width;
  const read = (input: number, index: string) => {
    const access = k.tensor(w.inputs[input], { vec });
    return vec ? access.at4(index) : access.at(index);
  };
  const finish = (value: string) =>
    vec
      ? `{ let f4 = ${value}; for (var j = 0u; j < 4u; j++) { ${k.finish(`row * ${width}u + 4u * c + j`, 'f4[j]')} } }`
      : k.finish(`row * ${width}u + c`, value);
  const text = body({
    type: vec ? 'vec4f' : 'f32',
    full: (input) => read(input, `row * ${n}u + c`),
    column: (input) => read(input, 'c'),
    finish,
  });
  const [from, step] = grouped(w, width) ? ['lane', `c += ${GROUP}u`] : ['0u', 'c++'];
  return `  for (var c = ${from}; c < ${n}u; ${step}) {\n${text}\n  }`;
}

/** Sum over a row, from an accumulator of what `rowLoop` saw. */
export function rowSum(k: KernelText, w: KernelWriter, width: number, value: string): string {
  const own = rowType(width) === 'vec4f' ? `dot(${value}, vec4f(1.0))` : value;
  if (!grouped(w, width)) return own;
  k.use('groupSum');
  return `group_sum(${own}, lane)`;
}

/** Largest element of a row, from an accumulator of what `rowLoop` saw. */
export function rowTop(k: KernelText, w: KernelWriter, width: number, value: string): string {
  const own =
    rowType(width) === 'vec4f' ? `max(max(${value}.x, ${value}.y), max(${value}.z, ${value}.w))` : value;
  if (!grouped(w, width)) return own;
  k.use('groupTop');
  return `group_top(${own}, lane)`;
}

/** Statement that writes a row's result, once. */
export function rowSet(k: KernelText, w: KernelWriter, width: number, output: number, value: string): string {
  return rowOnce(w, width, k.tensor(w.outputs[output], { writes: true }).set('row', value));
}

/** A statement about a row as a whole, made by one invocation. */
export function rowOnce(w: KernelWriter, width: number, statement: string): string {
  return grouped(w, width) ? `if (lane == 0u) { ${statement} }` : statement;
}

/** The accumulator type that `rowLoop` uses for a row of this length. */
export function rowType(width: number): 'vec4f' | 'f32' {
  return width % 4 === 0 ? 'vec4f' : 'f32';
}
