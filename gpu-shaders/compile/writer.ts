import {
  type DType,
  isQuantised,
  type PackedLayout,
  type Shape,
  sizeOf,
  stridesOf,
  type Tensor,
  type TensorType,
} from '../graph/tensor.ts';
import { helperSource } from '../kernels/helpers.ts';
import type { Target } from './target.ts';

/** Memory that a kernel binds: a tensor's root, or scratch space that lives for one node. */
export interface Place {
  readonly key: string;
  readonly dtype: DType;
  readonly bytes: number;
  /** Of a quantised tensor: where its scales lie. */
  readonly packed?: PackedLayout;
}

export interface Binding {
  place: Place;
  type: string;
  writes: boolean;
}

/** One dispatch, as text and as the places it binds, in binding order. */
export interface KernelCall {
  label: string;
  code: string;
  bindings: Binding[];
  grid: [number, number, number];
  flops: number;
}

const SCALAR: Record<DType, string> = {
  f32: 'f32',
  f16: 'u32',
  i32: 'i32',
  u32: 'u32',
  int8: 'u32',
  nf4: 'u32',
};
const VECTOR: Record<DType, string> = {
  f32: 'vec4f',
  f16: 'vec2u',
  i32: 'vec4i',
  u32: 'vec4u',
  int8: 'u32',
  nf4: 'u32',
};

/** Functions that read a quantised binding: a scale, an element, four elements, each with its scale left out. */
function packedReaders(name: string, { dtype, packed }: Place): string {
  const { codeWords } = packed!;
  const scale = `fn ${name}_scale(i: u32) -> f32 { return bitcast<f32>(${name}[${codeWords}u + i]); }\n`;
  if (dtype === 'int8')
    return `${scale}fn ${name}_code(i: u32) -> f32 { return f32(bitcast<i32>(${name}[i >> 2u] << (24u - 8u * (i & 3u))) >> 24u); }
fn ${name}_code4(i: u32) -> vec4f { return int8x4(${name}[i]); }\n`;
  return `${scale}fn ${name}_code(i: u32) -> f32 { return nf4(${name}[i >> 3u] >> (4u * (i & 7u))); }
fn ${name}_code4(i: u32) -> vec4f { return nf4x4(${name}[i >> 1u] >> (16u * (i & 1u))); }\n`;
}

/** WGSL text that reads or writes a bound tensor by flat element index, whatever type the binding has. */
export class Access {
  constructor(
    private readonly name: string,
    private readonly binding: Binding,
  ) {}

  /** Elements that share a scale, where this is an int8 tensor: a kernel that walks along rows knows the row's. */
  get rowLength(): number | null {
    const { dtype, packed } = this.binding.place;
    return dtype === 'int8' ? packed!.per : null;
  }

  /** The scale of row (or group) `index` of a quantised tensor. */
  scale(index: string): string {
    return `${this.name}_scale(${index})`;
  }

  /** Element `index` (a u32 expression); storage types come out as f32. `scale` is its scale, where that is at hand. */
  at(index: string, scale?: string): string {
    const { type, place } = this.binding;
    if (place.packed)
      return `(${this.name}_code(${index}) * ${scale ?? this.scale(`(${index}) / ${place.packed.per}u`)})`;
    if (type === 'u32' && this.binding.place.dtype === 'f16')
      return `unpack2x16float(${this.name}[(${index}) >> 1u])[(${index}) & 1u]`;
    if (type === 'vec2u')
      return `unpack2x16float(${this.name}[(${index}) >> 2u][((${index}) >> 1u) & 1u])[(${index}) & 1u]`;
    if (type.startsWith('vec4')) return `${this.name}[(${index}) >> 2u][(${index}) & 3u]`;
    return `${this.name}[${index}]`;
  }

  /** Four elements from `4 * index4` on, as a vec4. */
  at4(index4: string, scale?: string): string {
    const { type, place } = this.binding;
    if (place.packed && place.packed.per % 4 === 0) {
      const own = scale ?? this.scale(`(${index4}) / ${place.packed.per / 4}u`);
      return `(${this.name}_code4(${index4}) * ${own})`;
    }
    if (place.packed)
      return `vec4f(${[0, 1, 2, 3].map((j) => this.at(`4u * (${index4}) + ${j}u`)).join(', ')})`;
    if (type.startsWith('vec4')) return `${this.name}[${index4}]`;
    if (place.dtype === 'f16') {
      if (type === 'vec2u') return `half4(${this.name}[${index4}])`;
      return `half4(vec2u(${this.name}[2u * (${index4})], ${this.name}[2u * (${index4}) + 1u]))`;
    }
    const parts = [0, 1, 2, 3].map((j) => `${this.name}[4u * (${index4}) + ${j}u]`);
    return `vec4<${SCALAR[place.dtype]}>(${parts.join(', ')})`;
  }

  /** Statement that writes element `index`. */
  set(index: string, value: string): string {
    return `${this.at(index)} = ${value};`;
  }

  /** Statement that writes four elements. */
  set4(index4: string, value: string): string {
    if (this.binding.type.startsWith('vec4')) return `${this.name}[${index4}] = ${value};`;
    return `{ let w4 = ${value}; ${[0, 1, 2, 3].map((j) => `${this.name}[4u * (${index4}) + ${j}u] = w4[${j}];`).join(' ')} }`;
  }
}

/** The maps fused behind a kernel: their WGSL, and the values among them that others read. */
export interface Epilogue {
  /** WGSL type of the anchor's value. */
  type: string;
  /** Statements over `i` (flat index) and `v` (the anchor's value), reading and storing through `bind`. */
  emit(kernel: KernelText): string;
}

export interface Grid {
  workgroup: [number, number, number];
  groups: [number, number, number];
}

/** Text of one kernel under construction. */
export class KernelText {
  private readonly bindings: Binding[] = [];
  private readonly helpers = new Set<string>();
  private readonly extensions = new Set<string>();
  private finishBody: string | null = null;

  constructor(
    private readonly placeOf: (t: Tensor) => Place,
    private readonly epilogue: Epilogue | null,
  ) {}

  /** Binds a place; the first request decides between element and vec4 type, later ones adapt to it. */
  bind(place: Place, { vec = false, writes = false }: { vec?: boolean; writes?: boolean } = {}): Access {
    let index = this.bindings.findIndex((b) => b.place.key === place.key);
    if (index < 0) {
      index = this.bindings.length;
      this.bindings.push({ place, type: (vec ? VECTOR : SCALAR)[place.dtype], writes });
    }
    if (writes) this.bindings[index].writes = true;
    if (place.dtype === 'f16') this.use('half4');
    if (isQuantised(place.dtype)) this.use(`${place.dtype}x4`);
    return new Access(`b${index}`, this.bindings[index]);
  }

  tensor(t: Tensor, options?: { vec?: boolean; writes?: boolean }): Access {
    return this.bind(this.placeOf(t), options);
  }

  /** Makes a function of the WGSL library (`kernels/helpers.ts`) available. */
  use(helper: string): void {
    this.helpers.add(helper);
  }

  /** Turns on a WGSL extension that the device must have. */
  enable(extension: string): void {
    this.extensions.add(extension);
  }

  /** Statement that hands the anchor's element `index` to the fused maps, which store what others read. */
  finish(index: string, value: string): string {
    if (!this.epilogue) throw new Error('This kernel has no primary output to finish.');
    this.finishBody ??= this.epilogue.emit(this);
    return `finish(${index}, ${value});`;
  }

  /** The whole module. `declarations` are module-scope text (workgroup variables, functions). */
  source(
    body: string,
    workgroup: readonly number[],
    declarations = '',
  ): { code: string; bindings: Binding[] } {
    const decls = this.bindings.map(
      (b, i) =>
        `@group(0) @binding(${i}) var<storage, ${b.place.key.startsWith('p:') && !b.writes ? 'read' : 'read_write'}> b${i}: array<${b.type}>;`,
    );
    const finish =
      this.finishBody === null
        ? ''
        : `fn finish(i: u32, v: ${this.epilogue!.type}) {\n${this.finishBody}\n}\n`;
    const enables = [...this.extensions].map((e) => `enable ${e};\n`).join('');
    const readers = this.bindings
      .map((b, i) => (b.place.packed ? packedReaders(`b${i}`, b.place) : ''))
      .join('');
    const code = `${enables}${decls.join('\n')}\n${helperSource(this.helpers)}${readers}${declarations}\n${finish}
@compute @workgroup_size(${workgroup.join(', ')})
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
${body}
}
`;
    return { code, bindings: this.bindings };
  }
}

/** What an operation's `emit` gets: its node's types, and a way to write dispatches. */
export class KernelWriter {
  readonly calls: KernelCall[] = [];
  private scratchCount = 0;

  constructor(
    readonly inputs: readonly Tensor[],
    readonly outputs: readonly Tensor[],
    private readonly label: string,
    private readonly placeOf: (t: Tensor) => Place,
    private readonly epilogue: Epilogue | null,
    /** Whether anybody reads output `i`: an operation may skip what nobody does. */
    readonly reads: (output: number) => boolean,
    readonly target: Target,
  ) {}

  /** Space that lives while this node runs. */
  scratch(elements: number, dtype: DType = 'f32'): Place {
    return { key: `t:${this.outputs[0].node.id}/s${this.scratchCount++}`, dtype, bytes: elements * 4 };
  }

  /** Writes one dispatch. */
  kernel(
    name: string,
    build: (k: KernelText) => {
      body: string;
      workgroup: number[];
      grid: number[];
      declarations?: string;
      flops?: number;
    },
  ): void {
    const text = new KernelText(this.placeOf, this.epilogue);
    const { body, workgroup, grid, declarations, flops } = build(text);
    const { code, bindings } = text.source(body, pad3(workgroup), declarations);
    this.calls.push({ label: `${this.label}.${name}`, code, bindings, grid: pad3(grid), flops: flops ?? 0 });
  }
}

function pad3(a: number[]): [number, number, number] {
  return [a[0] ?? 1, a[1] ?? 1, a[2] ?? 1];
}

/** What a `point` operation's body gets. */
export class PointWriter {
  constructor(
    private readonly text: KernelText,
    readonly inputs: readonly Tensor[],
    readonly output: TensorType,
  ) {}

  /** Element `index` of input `i`. */
  read(i: number, index: string): string {
    return this.text.tensor(this.inputs[i]).at(index);
  }

  use(helper: string): void {
    this.text.use(helper);
  }
}

/** Text of the prologue that turns the grid into one flat index `i` below `count`. */
export function flatIndex(
  count: number,
  workgroup = 64,
): { head: string; workgroup: number[]; grid: number[] } {
  const needed = Math.ceil(count / workgroup);
  // A tensor without elements still gets a grid: its invocations return at once.
  const x = Math.max(1, Math.min(needed, 65535));
  const y = Math.ceil(needed / x);
  const head = `  let i = (wid.y * groups.x + wid.x) * ${workgroup}u + lane;\n  if (i >= ${count}u) { return; }`;
  return { head, workgroup: [workgroup], grid: [x, y] };
}

/**
 * WGSL index into a tensor of shape `from` that broadcasts to `to`, for flat index `i` of `to`. Neighbouring axes
 * that behave alike are merged, so a bias costs one remainder and a per-row value one division.
 */
export function broadcastIndex(to: Shape, from: Shape, i: string): string {
  if (sizeOf(from) === sizeOf(to)) return i;
  if (sizeOf(from) === 1) return '0u';
  const full = [...Array(to.length - from.length).fill(1), ...from] as number[];
  const strides = stridesOf(full);
  const terms: string[] = [];
  let below = 1; // elements of `to` right of the current run
  for (let d = to.length - 1; d >= 0; ) {
    const kept = full[d] === to[d] && to[d] !== 1;
    let n = 1;
    const stride = strides[d];
    while (d >= 0 && (to[d] === 1 || (full[d] === to[d]) === kept)) n *= to[d--];
    if (kept && n > 1) {
      const quotient = below === 1 ? i : `(${i} / ${below}u)`;
      const wrapped = d < 0 ? quotient : `(${quotient} % ${n}u)`;
      terms.push(stride === 1 ? wrapped : `${wrapped} * ${stride}u`);
    }
    below *= n;
  }
  return terms.join(' + ');
}
