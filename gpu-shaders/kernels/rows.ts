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

/**
 * A kernel with one invocation a row, `row` being its number. Grid: flat over rows. Memory: registers only.
 */
export function rowKernel(
  w: KernelWriter,
  name: string,
  rows: number,
  body: (k: KernelText) => string,
): void {
  flatKernel(w, name, rows, (k) => `  let row = i;\n${body(k)}`, 32);
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
export function rowLoop(k: KernelText, w: KernelWriter, width: number, step: (s: RowStep) => string): string {
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
  const text = step({
    type: vec ? 'vec4f' : 'f32',
    full: (input) => read(input, `row * ${n}u + c`),
    column: (input) => read(input, 'c'),
    finish,
  });
  return `  for (var c = 0u; c < ${n}u; c++) {\n${text}\n  }`;
}

/** Sum of the parts of a `RowStep` accumulator. */
export function horizontal(type: 'vec4f' | 'f32', value: string): string {
  return type === 'vec4f' ? `dot(${value}, vec4f(1.0))` : value;
}

/** The accumulator type that `rowLoop` uses for a row of this length. */
export function rowType(width: number): 'vec4f' | 'f32' {
  return width % 4 === 0 ? 'vec4f' : 'f32';
}
