import type { Access, KernelText, KernelWriter } from '../compile/writer.ts';
import type { AttentionAttrs, AttentionSizes } from '../ops/attention.ts';
import { literal } from '../ops/map.ts';

const WORKGROUP = 32;

export const lines = (xs: readonly unknown[], text: (x: number) => string) =>
  xs.map((_, i) => text(i)).join('\n');
export const range = (n: number) => [...Array(n).keys()];

/** Takes the text of an index and of a value to a statement. */
export type Store = (index: string, value: string) => string;

function starts(
  name: string,
  list: readonly unknown[],
  base: string,
  from: string,
  width: number,
  count: number,
): string {
  return lines(
    list,
    (i) => `    let ${name}${i} = ${base} + min(${from} + ${i}u, ${count - 1}u) * ${width}u;`,
  );
}

/** Texts of the parts that the three kernels share. */
export class Parts {
  readonly d4: number;
  /** Rows of a block, rows of the other side taken at a time, and these by fours. */
  readonly rows: readonly number[];
  readonly cols: readonly number[];
  readonly quads: readonly number[];
  /** Four neighbours, blocks of one head, read a quarter of the other side's rows each and hand them round. */
  readonly shared: boolean;

  constructor(
    readonly s: AttentionSizes,
    readonly a: AttentionAttrs,
    readonly t: KernelText,
    readonly w: KernelWriter,
    /** Rows of the side that blocks are made of, and of the side that is walked. */
    readonly count: number,
    streamed: number,
  ) {
    this.d4 = Math.ceil(s.d / 4);
    // Short sequences would leave most of a large tile idle. What a softmax sums at a time must not depend on the
    // form that was measured to be fastest, or a run would not give the same bits again.
    this.rows = range(count === 1 ? 1 : count < 16 ? 4 : 8);
    this.cols = range(streamed < 16 ? 4 : streamed < 128 ? 8 : 16);
    this.quads = range(this.cols.length / 4);
    // The number of steps must be the same for neighbours, which a causal mask does not give.
    this.shared = w.target.product !== 'lone' && !a.causal && count >= 32;
    if (this.shared) t.enable('subgroups');
  }

  /** Statements for every row and quad of columns of the tile. */
  eachQuad(text: (r: number, c: number) => string): string {
    return this.rows.map((r) => `    ${this.quads.map((c) => text(r, c)).join(' ')}`).join('\n');
  }

  tensor(input: number): Access {
    return this.t.tensor(this.w.inputs[input], { vec: this.s.d % 4 === 0 });
  }

  private blocks(): number {
    const blocks = Math.ceil(this.count / this.rows.length);
    return this.shared ? Math.ceil(blocks / 4) * 4 : blocks;
  }

  /** Declares `first` (row of the block), `h` and `b` from the flat grid. */
  head(heads: number): string {
    const blocks = this.blocks();
    const all = blocks * heads * this.s.batch;
    return `  let outside = gid.x >= ${all}u || gid.x % ${blocks}u * ${this.rows.length}u >= ${this.count}u;
  ${this.shared ? '' : 'if (outside) { return; }'}
  let block = min(gid.x, ${all - 1}u);
  let first = block % ${blocks}u * ${this.rows.length}u;
  let h = block / ${blocks}u % ${heads}u;
  let b = block / ${blocks * heads}u;`;
  }

  /** Neighbours count on each other until all rows are walked; only then may one without rows leave. */
  leave(): string {
    return this.shared ? '  if (outside) { return; }' : '';
  }

  grid(heads: number) {
    const invocations = this.blocks() * heads * this.s.batch;
    return { workgroup: [WORKGROUP], grid: [Math.ceil(invocations / WORKGROUP)] };
  }

  /** Declares where the block's rows start, clamped to the last. */
  blockStarts(name: string, base: string, width: number): string {
    return starts(name, this.rows, base, 'first', width, this.count);
  }

  /** Declares where the walked rows (or this invocation's share of them) from `j` on start. */
  streamStarts(name: string, base: string, width: number, count: number): string {
    const share = this.cols.length / 4;
    return this.shared
      ? starts(name, range(share), base, `j + lane % 4u * ${share}u`, width, count)
      : starts(name, this.cols, base, 'j', width, count);
  }

  /** Declares `y0`…: elements 4c to 4c + 3 of the walked rows. */
  private streamed(y: Access, ys: string): string {
    if (!this.shared) return lines(this.cols, (j) => `      let y${j} = ${this.load4(y, `${ys}${j}`)};`);
    const share = this.cols.length / 4;
    return `${lines(range(share), (j) => `      let own${j} = ${this.load4(y, `${ys}${j}`)};`)}
${lines(this.cols, (j) => `      let y${j} = quadBroadcast(own${j % share}, ${Math.floor(j / share)}u);`)}`;
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
${this.streamed(y, ys)}
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
    const sum = (r: number) => this.cols.map((j) => `${tile}${r}_${j >> 2}[${j & 3}] * y${j}`).join(' + ');
    return `    for (var c = 0u; c < ${this.d4}u; c++) {
${this.streamed(y, ys)}
${lines(this.rows, (r) => {
  const at = `${acc}[${r * this.d4}u + c]`;
  return `      ${at} = ${at}${shrink ? ` * ${shrink}${r}` : ''} + ${sum(r)};`;
})}
    }`;
  }

  accumulator(name: string): string {
    return `  var ${name}: array<vec4f, ${this.rows.length * this.d4}>;`;
  }

  /** Hands out the block's rows below `count`, the text of `store` once. `scale` may read `r`. */
  scatter(acc: string, base: string, width: number, scale: string, store: Store): string {
    const value = `${acc}[r * ${this.d4}u + d / 4u][d % 4u] * ${scale}`;
    return `  for (var r = 0u; r < min(${this.rows.length}u, ${this.count}u - first); r++) {
    for (var d = 0u; d < ${this.s.d}u; d++) {
      ${store(`${base} + (first + r) * ${width}u + d`, value)}
    }
  }`;
  }

  /** Scales the tile `s`, adds the bias, and hides keys past the end or in a query's future. */
  adjust(bias: Access | null, side: 'queries' | 'keys'): string {
    const { tq, tk } = this.s;
    // In the query kernels a row is a query and a column a key; in the key kernel the other way round.
    const [rowCount, columnCount] = side === 'queries' ? [tq, tk] : [tk, tq];
    const column = (c: number) => `(vec4u(0u, 1u, 2u, 3u) + j + ${4 * c}u)`;
    const scale = literal(this.a.scale);
    const text: string[] = [];
    if (columnCount % this.cols.length) {
      const hide = (c: number) =>
        `    let hide${c} = select(vec4f(), vec4f(-1e30), ${column(c)} >= vec4u(${columnCount}u));`;
      text.push(lines(this.quads, hide));
      text.push(this.eachQuad((r, c) => `s${r}_${c} = s${r}_${c} * ${scale} + hide${c};`));
    } else text.push(this.eachQuad((r, c) => `s${r}_${c} *= ${scale};`));
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
    return this.a.causal ? `min(${tk}u, first + ${this.rows.length + tk - tq}u)` : `${tk}u`;
  }
}
