import type { Access, KernelText, KernelWriter } from '../compile/writer.ts';
import type { AttentionAttrs, AttentionSizes } from '../ops/attention.ts';
import { literal } from '../ops/map.ts';

/**
 * Streaming attention with heads addressed by stride. An invocation holds a block of rows of one head (queries, or
 * keys in the key gradient) and walks the other side a few rows at a time: a register tile of scores is computed
 * as in a product, turned into weights, and at once multiplied into the block's private accumulators. The score
 * matrix never reaches memory. Loops over a head's elements stay loops: unrolled, these kernels take SwiftShader
 * seconds to compile.
 *
 * Shapes: q, out, dout [B, Tq, H D]; k, v [B, Tk, Hkv D]; log-sums and deltas [B, H, Tq, 2].
 * Grid: blocks of rows × heads × batch, flat. Memory: registers, and the accumulators in private arrays.
 * Source: Dao, FlashAttention-2 (arXiv 2307.08691), algorithms 1 and 2.
 */

const WORKGROUP = 32;

const lines = (xs: readonly unknown[], text: (x: number) => string) => xs.map((_, i) => text(i)).join('\n');
const range = (n: number) => [...Array(n).keys()];

/** Texts of the parts that the three kernels share. */
class Parts {
  readonly d4: number;
  /** Rows of a block, rows of the other side taken at a time (as many), and these by fours. */
  readonly n: number;
  readonly rows: readonly number[];
  readonly quads: readonly number[];

  constructor(
    readonly s: AttentionSizes,
    readonly a: AttentionAttrs,
    readonly t: KernelText,
    readonly w: KernelWriter,
  ) {
    this.d4 = Math.ceil(s.d / 4);
    // Short sequences would leave most of a large tile idle.
    this.n = Math.max(s.tq, s.tk) < 16 ? 4 : 8;
    this.rows = range(this.n);
    this.quads = range(this.n / 4);
  }

  /** Statements for every row and quad of columns of the tile. */
  eachQuad(text: (r: number, c: number) => string): string {
    return this.rows.map((r) => `    ${this.quads.map((c) => text(r, c)).join(' ')}`).join('\n');
  }

  tensor(input: number): Access {
    return this.t.tensor(this.w.inputs[input], { vec: this.s.d % 4 === 0 });
  }

  /** Declares `first` (row of the block), `h` and `b` from the flat grid. */
  head(count: number, heads: number): string {
    const blocks = Math.ceil(count / this.n);
    return `  if (gid.x >= ${blocks * heads * this.s.batch}u) { return; }
  let first = gid.x % ${blocks}u * ${this.n}u;
  let h = gid.x / ${blocks}u % ${heads}u;
  let b = gid.x / ${blocks * heads}u;`;
  }

  grid(count: number, heads: number) {
    const invocations = Math.ceil(count / this.n) * heads * this.s.batch;
    return { workgroup: [WORKGROUP], grid: [Math.ceil(invocations / WORKGROUP)] };
  }

  /** Declares where `n` rows from `from` on start, clamped to the last of `count`. */
  starts(name: string, list: readonly unknown[], base: string, from: string, width: number, count: number) {
    return lines(
      list,
      (i) => `    let ${name}${i} = ${base} + min(${from} + ${i}u, ${count - 1}u) * ${width}u;`,
    );
  }

  /** Elements 4c to 4c + 3 of the row of x that starts at `start`, zeros past the head's end. */
  private load4(x: Access, start: string): string {
    const { d } = this.s;
    if (d % 4 === 0) return x.at4(`${start} / 4u + c`);
    const part = (j: number) =>
      `select(0.0, ${x.at(`${start} + min(4u * c + ${j}u, ${d - 1}u)`)}, 4u * c + ${j}u < ${d}u)`;
    return `vec4f(${[0, 1, 2, 3].map(part).join(', ')})`;
  }

  /** The tile `into` of products of rows of x (starts `xs`) and rows of y (starts `ys`). */
  product(into: string, x: Access, xs: string, y: Access, ys: string): string {
    return `${this.eachQuad((r, c) => `var ${into}${r}_${c} = vec4f();`)}
    for (var c = 0u; c < ${this.d4}u; c++) {
${lines(this.rows, (r) => `      let x${r} = ${this.load4(x, `${xs}${r}`)};`)}
${lines(this.rows, (j) => `      let y${j} = ${this.load4(y, `${ys}${j}`)};`)}
${this.quads
  .flatMap((c) =>
    [0, 1, 2, 3].map((u) => {
      const turned = [0, 1, 2, 3].map((j) => `y${4 * c + j}[${u}]`).join(', ');
      const uses = this.rows.map((r) => `${into}${r}_${c} += x${r}[${u}] * u${c}_${u};`);
      return `      let u${c}_${u} = vec4f(${turned}); ${uses.join(' ')}`;
    }),
  )
  .join('\n')}
    }`;
  }

  /** acc += tile × rows of y, the accumulators first multiplied by `shrink0`… where given. */
  accumulate(acc: string, tile: string, y: Access, ys: string, shrink = ''): string {
    const sum = (r: number) => this.rows.map((j) => `${tile}${r}_${j >> 2}[${j & 3}] * y${j}`).join(' + ');
    return `    for (var c = 0u; c < ${this.d4}u; c++) {
${lines(this.rows, (j) => `      let y${j} = ${this.load4(y, `${ys}${j}`)};`)}
${lines(this.rows, (r) => {
  const at = `${acc}[${r * this.d4}u + c]`;
  return `      ${at} = ${at}${shrink ? ` * ${shrink}${r}` : ''} + ${sum(r)};`;
})}
    }`;
  }

  accumulator(name: string): string {
    return `  var ${name}: array<vec4f, ${this.n * this.d4}>;`;
  }

  /** Hands out the block's rows below `count`, the text of `store` once. `scale` may read `r`. */
  scatter(acc: string, count: number, base: string, width: number, scale: string, store: Store): string {
    const value = `${acc}[r * ${this.d4}u + d / 4u][d % 4u] * ${scale}`;
    return `  for (var r = 0u; r < min(${this.n}u, ${count}u - first); r++) {
    for (var d = 0u; d < ${this.s.d}u; d++) {
      ${store(`${base} + (first + r) * ${width}u + d`, value)}
    }
  }`;
  }

  /** Scales the tile `s`, adds the bias, and hides keys past the end or in a query's future. */
  adjust(bias: Access | null, side: 'queries' | 'keys'): string {
    const { tq, tk } = this.s;
    const text = [this.eachQuad((r, c) => `s${r}_${c} *= ${literal(this.a.scale)};`)];
    // In the query kernels a row is a query and a column a key; in the key kernel the other way round.
    const [rowCount, columnCount] = side === 'queries' ? [tq, tk] : [tk, tq];
    if (bias) {
      const at = (r: number, j: number) => {
        const row = `min(first + ${r}u, ${rowCount - 1}u)`;
        const column = `min(j + ${j}u, ${columnCount - 1}u)`;
        return side === 'queries' ? this.biasAt(bias, row, column) : this.biasAt(bias, column, row);
      };
      text.push(
        this.eachQuad(
          (r, c) => `s${r}_${c} += vec4f(${[0, 1, 2, 3].map((j) => at(r, 4 * c + j)).join(', ')});`,
        ),
      );
    }
    const column = (c: number) => `(vec4u(0u, 1u, 2u, 3u) + j + ${4 * c}u)`;
    if (this.a.causal && side === 'queries')
      text.push(
        this.eachQuad(
          (r, c) =>
            `s${r}_${c} = select(s${r}_${c}, vec4f(-1e30), ${column(c)} > vec4u(first + ${r + tk - tq}u));`,
        ),
      );
    else if (this.a.causal)
      text.push(
        this.eachQuad(
          (r, c) =>
            `s${r}_${c} = select(s${r}_${c}, vec4f(-1e30), ${column(c)} + ${tk - tq}u < vec4u(first + ${r}u));`,
        ),
      );
    if (columnCount % this.n)
      text.push(
        this.eachQuad(
          (r, c) => `s${r}_${c} = select(s${r}_${c}, vec4f(-1e30), ${column(c)} >= vec4u(${columnCount}u));`,
        ),
      );
    return text.join('\n');
  }

  /** The bias [B|1, H|1, Tq|1, Tk] at a query and a key. */
  private biasAt(x: Access, query: string, key: string): string {
    const { tk, bias } = this.s;
    const [bb, bh, bq] = bias!;
    const terms = [key];
    if (bq > 1) terms.push(`${query} * ${tk}u`);
    if (bh > 1) terms.push(`h * ${bq * tk}u`);
    if (bb > 1) terms.push(`b * ${bh * bq * tk}u`);
    return x.at(terms.join(' + '));
  }

  /** Past the last key that any query of the block sees. */
  keyLimit(): string {
    const { tk, tq } = this.s;
    return this.a.causal ? `min(${tk}u, first + ${this.n + tk - tq}u)` : `${tk}u`;
  }
}

type Store = (index: string, value: string) => string;

const bases = (s: AttentionSizes) => `  let qBase = b * ${s.tq * s.qWidth}u + h * ${s.d}u;
  let kBase = b * ${s.tk * s.kWidth}u + h / ${s.group}u * ${s.d}u;
  let stats = (b * ${s.heads}u + h) * ${s.tq}u;`;

/** Outputs: out, log-sum [B, H, Tq]. Inputs: q, k, v and perhaps the bias. */
export function attentionForward(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  w.kernel('forward', (t) => {
    const p = new Parts(s, a, t, w);
    const [q, k, v] = [0, 1, 2].map((i) => p.tensor(i));
    const bias = s.bias ? t.tensor(w.inputs[3]) : null;
    const logSum = w.reads(1) ? t.tensor(w.outputs[1], { writes: true }) : null;
    const max4 = (x: string) => `max(max(${x}.x, ${x}.y), max(${x}.z, ${x}.w))`;
    const body = `${p.head(s.tq, s.heads)}
${bases(s)}
${p.starts('q', p.rows, 'qBase', 'first', s.qWidth, s.tq)}
${p.accumulator('acc')}
  ${p.rows.map((r) => `var top${r} = -1e30; var sum${r} = 0.0;`).join(' ')}
  for (var j = 0u; j < ${p.keyLimit()}; j += ${p.n}u) {
${p.starts('k', p.rows, 'kBase', 'j', s.kWidth, s.tk)}
${p.product('s', q, 'q', k, 'k')}
${p.adjust(bias, 'queries')}
${lines(p.rows, (r) => {
  const all = p.quads.map((c) => `s${r}_${c}`);
  const high = all.reduce((x, y) => `max(${x}, ${y})`);
  return `    let best${r} = ${high}; let high${r} = max(top${r}, ${max4(`best${r}`)});
    let shrink${r} = exp(max(top${r} - high${r}, -87.0)); top${r} = high${r};
    ${all.map((x) => `${x} = exp(max(${x} - high${r}, vec4f(-87.0)));`).join(' ')}
    sum${r} = sum${r} * shrink${r} + dot(${all.join(' + ')}, vec4f(1.0));`;
})}
${p.accumulate('acc', 's', v, 'k', 'shrink')}
  }
  var sums = array<f32, ${p.n}>(${p.rows.map((r) => `sum${r}`).join(', ')});
  ${
    logSum
      ? `var tops = array<f32, ${p.n}>(${p.rows.map((r) => `top${r}`).join(', ')});
  for (var r = 0u; r < min(${p.n}u, ${s.tq}u - first); r++) { ${logSum.set('stats + first + r', 'tops[r] + log(sums[r])')} }`
      : ''
  }
${p.scatter('acc', s.tq, 'qBase', s.qWidth, '(1.0 / sums[r])', (i, x) => t.finish(i, x))}`;
    return { body, ...p.grid(s.tq, s.heads) };
  });
}

/** Output: dq. Inputs: q, k, v, dout, statistics and perhaps the bias. */
export function attentionQueryGradient(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  w.kernel('query', (t) => {
    const p = new Parts(s, a, t, w);
    const [q, k, v, dout] = [0, 1, 2, 3].map((i) => p.tensor(i));
    const stats = t.tensor(w.inputs[4]);
    const bias = s.bias ? t.tensor(w.inputs[5]) : null;
    const body = `${p.head(s.tq, s.heads)}
${bases(s)}
${p.starts('q', p.rows, 'qBase', 'first', s.qWidth, s.tq)}
${lines(p.rows, (r) => {
  const at = `2u * (stats + min(first + ${r}u, ${s.tq - 1}u))`;
  return `  let logSum${r} = ${stats.at(at)}; let delta${r} = ${stats.at(`${at} + 1u`)};`;
})}
${p.accumulator('acc')}
  for (var j = 0u; j < ${p.keyLimit()}; j += ${p.n}u) {
${p.starts('k', p.rows, 'kBase', 'j', s.kWidth, s.tk)}
${p.product('s', q, 'q', k, 'k')}
${p.adjust(bias, 'queries')}
${p.eachQuad((r, c) => `s${r}_${c} = exp(clamp(s${r}_${c} - logSum${r}, vec4f(-87.0), vec4f(0.0)));`)}
${p.product('g', dout, 'q', v, 'k')}
${p.eachQuad((r, c) => `s${r}_${c} *= g${r}_${c} - delta${r};`)}
${p.accumulate('acc', 's', k, 'k')}
  }
${p.scatter('acc', s.tq, 'qBase', s.qWidth, literal(a.scale), (i, x) => t.finish(i, x))}`;
    return { body, ...p.grid(s.tq, s.heads) };
  });
}

/** Outputs: dk, dv, each only where read. Inputs as for the query gradient. */
export function attentionKeyGradient(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  w.kernel('key', (t) => {
    const p = new Parts(s, a, t, w);
    const [q, k, v, dout] = [0, 1, 2, 3].map((i) => p.tensor(i));
    const stats = t.tensor(w.inputs[4]);
    const bias = s.bias ? t.tensor(w.inputs[5]) : null;
    const [wantK, wantV] = [w.reads(0), w.reads(1)];
    const store = (output: number): Store => {
      const target = t.tensor(w.outputs[output], { writes: true });
      return (index, value) => target.set(index, value);
    };
    const stat = (c: number, which: number) =>
      `vec4f(${[0, 1, 2, 3].map((j) => stats.at(`2u * (stats + min(j + ${4 * c + j}u, ${s.tq - 1}u)) + ${which}u`)).join(', ')})`;
    const offset = s.tk - s.tq;
    const from = a.causal ? `select(0u, first - ${offset}u, first > ${offset}u)` : '0u';
    const body = `${p.head(s.tk, s.kvHeads).replace('let h =', 'let kvHead =')}
  let kBase = b * ${s.tk * s.kWidth}u + kvHead * ${s.d}u;
${p.starts('k', p.rows, 'kBase', 'first', s.kWidth, s.tk)}
${wantK ? p.accumulator('accK') : ''}
${wantV ? p.accumulator('accV') : ''}
  for (var h = kvHead * ${s.group}u; h < (kvHead + 1u) * ${s.group}u; h++) {
  let qBase = b * ${s.tq * s.qWidth}u + h * ${s.d}u;
  let stats = (b * ${s.heads}u + h) * ${s.tq}u;
  for (var j = ${from}; j < ${s.tq}u; j += ${p.n}u) {
${p.starts('q', p.rows, 'qBase', 'j', s.qWidth, s.tq)}
${p.product('s', k, 'k', q, 'q')}
${p.adjust(bias, 'keys')}
    ${p.quads.map((c) => `let logSum${c} = ${stat(c, 0)};`).join(' ')}
${p.eachQuad((r, c) => `s${r}_${c} = exp(clamp(s${r}_${c} - logSum${c}, vec4f(-87.0), vec4f(0.0)));`)}
${wantV ? p.accumulate('accV', 's', dout, 'q') : ''}
${
  wantK
    ? `${p.product('g', v, 'k', dout, 'q')}
    ${p.quads.map((c) => `let delta${c} = ${stat(c, 1)};`).join(' ')}
${p.eachQuad((r, c) => `s${r}_${c} *= g${r}_${c} - delta${c};`)}
${p.accumulate('accK', 's', q, 'q')}`
    : ''
}
  }
  }
${wantK ? p.scatter('accK', s.tk, 'kBase', s.kWidth, literal(a.scale), store(0)) : ''}
${wantV ? p.scatter('accV', s.tk, 'kBase', s.kWidth, '1.0', store(1)) : ''}`;
    return { body, ...p.grid(s.tk, s.kvHeads) };
  });
}
