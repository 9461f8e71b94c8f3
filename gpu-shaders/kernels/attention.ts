import type { Access, KernelText, KernelWriter } from '../compile/writer.ts';
import type { AttentionAttrs, AttentionSizes } from '../ops/attention.ts';

/**
 * Streaming attention with heads addressed by stride: an invocation holds a block of a few rows (queries, or keys
 * in the key gradient) of one head and walks the other side one row at a time. The rows of the block are the
 * components of a vector, so that one multiplication by a scalar serves them all: `q5` holds element 5 of each.
 * The score matrix never reaches memory.
 *
 * Shapes: q, out, dout [B, Tq, H D]; k, v [B, Tk, Hkv D]; log-sums and deltas [B, H, Tq, 2].
 * Grid: blocks of rows, heads, batch. Memory: registers only.
 * Source: Dao et al., FlashAttention-2 (arXiv 2307.08691), algorithms 1 and 2.
 */

const range = (n: number) => [...Array(n).keys()];

/** Rows in a block: fewer for wide heads, whose elements all lie in registers. */
const blockRows = (s: AttentionSizes) => (s.d > 64 ? 2 : 4);

/** Types and texts for a block of `rows` rows. */
class Block {
  readonly type: string;
  readonly d4: number;
  constructor(
    readonly s: AttentionSizes,
    readonly rows: number,
  ) {
    this.type = `vec${rows}f`;
    this.d4 = Math.ceil(s.d / 4);
  }

  /** Four elements `4 c`… of the row of width `width` that starts at `base`, zeros past the head's end. */
  load4(x: Access, base: string, c: number): string {
    if (this.s.d % 4 === 0) return x.at4(`${base} / 4u + ${c}u`);
    const parts = range(4).map((j) => (4 * c + j < this.s.d ? x.at(`${base} + ${4 * c + j}u`) : '0.0'));
    return `vec4f(${parts.join(', ')})`;
  }

  /** Declares `name0`… from `rows` rows of x, of which there are `count`; `base` is row 0's start. */
  loadBlock(x: Access, name: string, base: string, stride: number, count: number, scale = ''): string {
    return range(this.d4)
      .map((c) => {
        const loads = range(this.rows).map(
          (r) =>
            `let t${r} = ${this.load4(x, `(${base} + min(first + ${r}u, ${count - 1}u) * ${stride}u)`, c)};`,
        );
        const turns = range(4)
          .filter((j) => 4 * c + j < this.s.d)
          .map(
            (j) =>
              `${name}${4 * c + j} = ${this.type}(${range(this.rows).map((r) => `t${r}[${j}]`)})${scale};`,
          );
        return `  { ${loads.join(' ')} ${turns.join(' ')} }`;
      })
      .join('\n');
  }

  declare(name: string): string {
    return `  ${range(this.s.d)
      .map((d) => `var ${name}${d} = ${this.type}();`)
      .join(' ')}`;
  }

  /** For each element of the streamed row at `base`, four at a time as `f`: the statements of `use`. */
  stream(x: Access, base: string, use: (d: number, element: string) => string): string {
    return range(this.d4)
      .map((c) => {
        const uses = range(4)
          .filter((j) => 4 * c + j < this.s.d)
          .map((j) => use(4 * c + j, `f[${j}]`));
        return `    { let f = ${this.load4(x, base, c)}; ${uses.join(' ')} }`;
      })
      .join('\n');
  }

  /** Stores or finishes the block's rows below `count` through `store(row, element, value)`, text once. */
  scatter(name: string, count: number, store: (row: string, d: string, value: string) => string): string {
    return `  {
    var all = array<${this.type}, ${this.s.d}>(${range(this.s.d).map((d) => `${name}${d}`)});
    for (var r = 0u; r < min(${this.rows}u, ${count}u - first); r++) {
      for (var d = 0u; d < ${this.s.d}u; d++) { ${store('(first + r)', 'd', 'all[d][r]')} }
    }
  }`;
  }
}

function head(block: Block, count: number): string {
  return `  let first = gid.x * ${block.rows}u;
  if (first >= ${count}u) { return; }
  let b = gid.z;
`;
}

const grid = (block: Block, count: number, heads: number, batch: number) => {
  const blocks = Math.ceil(count / block.rows);
  const wx = blocks >= 32 ? 32 : blocks >= 16 ? 16 : blocks >= 8 ? 8 : 4;
  return { workgroup: [wx, 1, 1], grid: [Math.ceil(blocks / wx), heads, batch] };
};

/** One of the two statistics of the block's queries, clamped to the last row. */
const rowStats = (block: Block, x: Access, which: number, count: number) =>
  `${block.type}(${range(block.rows).map((r) => x.at(`2u * (statsBase + min(first + ${r}u, ${count - 1}u)) + ${which}u`))})`;

/** Bias [B|1, H|1, Tq|1, Tk] at a query (text) and a key (text). */
function biasAt(x: Access, s: AttentionSizes, query: string, key: string): string {
  const [bb, bh, bq] = s.bias!;
  const terms = [key];
  if (bq > 1) terms.push(`${query} * ${s.tk}u`);
  if (bh > 1) terms.push(`h * ${bq * s.tk}u`);
  if (bb > 1) terms.push(`b * ${bh * bq * s.tk}u`);
  return x.at(terms.join(' + '));
}

/** Statements that add the bias to `s` and mask the future, for a block of queries and key `j`. */
function adjustQueries(block: Block, s: AttentionSizes, a: AttentionAttrs, bias: Access | null): string {
  const lines: string[] = [];
  if (bias) {
    const at = (r: number) => biasAt(bias, s, `min(first + ${r}u, ${s.tq - 1}u)`, 'j');
    lines.push(`    s += ${s.bias![2] > 1 ? `${block.type}(${range(block.rows).map(at)})` : at(0)};`);
  }
  if (a.causal)
    lines.push(
      `    s = ${block.type}(${range(block.rows).map((r) => `select(s[${r}], -1e30, j > first + ${r + s.tk - s.tq}u)`)});`,
    );
  return lines.join('\n');
}

const scoreText = (
  block: Block,
  k: Access,
  base: string,
  name: string,
  into: string,
) => `    var ${into}a = ${block.type}();
    var ${into}b = ${block.type}();
${block.stream(k, base, (d, f) => `${into}${d % 2 ? 'b' : 'a'} += ${name}${d} * ${f};`)}
    var ${into} = ${into}a + ${into}b;`;

const keyLimit = (block: Block, s: AttentionSizes, a: AttentionAttrs) =>
  a.causal ? `min(${s.tk}u, first + ${block.rows + s.tk - s.tq}u)` : `${s.tk}u`;

/** Outputs: out, log-sum. Inputs: q, k, v and perhaps the bias. */
export function attentionForward(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  const block = new Block(s, blockRows(s));
  w.kernel('forward', (t) => {
    const vec = s.d % 4 === 0;
    const [q, k, v] = [0, 1, 2].map((i) => t.tensor(w.inputs[i], { vec }));
    const bias = s.bias ? t.tensor(w.inputs[3]) : null;
    const lse = w.reads(1) ? t.tensor(w.outputs[1], { writes: true }) : null;
    const body = `${head(block, s.tq)}  let h = gid.y;
  let qBase = b * ${s.tq * s.qWidth}u + h * ${s.d}u;
  let kBase = b * ${s.tk * s.kWidth}u + h / ${s.group}u * ${s.d}u;
${block.declare('q')}
${block.declare('o')}
${block.loadBlock(q, 'q', 'qBase', s.qWidth, s.tq, ` * ${a.scale.toExponential()}f`)}
  var top = ${block.type}(-1e30);
  var sum = ${block.type}();
  for (var j = 0u; j < ${keyLimit(block, s, a)}; j++) {
    let row = kBase + j * ${s.kWidth}u;
${scoreText(block, k, 'row', 'q', 's')}
${adjustQueries(block, s, a, bias)}
    if (any(s > top)) {
      let high = max(s, top);
      let shrink = exp(max(top - high, ${block.type}(-87.0)));
      top = high;
      sum *= shrink;
      ${range(s.d)
        .map((d) => `o${d} *= shrink;`)
        .join(' ')}
    }
    let p = exp(max(s - top, ${block.type}(-87.0)));
    sum += p;
${block.stream(v, 'row', (d, f) => `o${d} += p * ${f};`)}
  }
  let scale = 1.0 / sum;
${lse ? `  let logSum = top + log(sum);\n  for (var r = 0u; r < min(${block.rows}u, ${s.tq}u - first); r++) { ${lse.set(`(b * ${s.heads}u + h) * ${s.tq}u + first + r`, 'logSum[r]')} }` : ''}
${block.scatter('o', s.tq, (row, d, value) => t.finish(`qBase + ${row} * ${s.qWidth}u + ${d}`, `${value} * scale[r]`))}`;
    return { body, ...grid(block, s.tq, s.heads, s.batch) };
  });
}

/** Output: dq. Inputs: q, k, v, dout, log-sums with deltas, and perhaps the bias. */
export function attentionQueryGradient(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  const block = new Block(s, blockRows(s));
  w.kernel('query', (t) => {
    const vec = s.d % 4 === 0;
    const [q, k, v, dout] = [0, 1, 2, 3].map((i) => t.tensor(w.inputs[i], { vec }));
    const stats = [0, 1].map((which) => rowStats(block, t.tensor(w.inputs[4]), which, s.tq));
    const bias = s.bias ? t.tensor(w.inputs[5]) : null;
    const body = `${head(block, s.tq)}  let h = gid.y;
  let qBase = b * ${s.tq * s.qWidth}u + h * ${s.d}u;
  let kBase = b * ${s.tk * s.kWidth}u + h / ${s.group}u * ${s.d}u;
  let statsBase = (b * ${s.heads}u + h) * ${s.tq}u;
${block.declare('q')}
${block.declare('g')}
${block.declare('o')}
${block.loadBlock(q, 'q', 'qBase', s.qWidth, s.tq, ` * ${a.scale.toExponential()}f`)}
${block.loadBlock(dout, 'g', 'qBase', s.qWidth, s.tq)}
  let logSum = ${stats[0]};
  let delta = ${stats[1]};
  for (var j = 0u; j < ${keyLimit(block, s, a)}; j++) {
    let row = kBase + j * ${s.kWidth}u;
${scoreText(block, k, 'row', 'q', 's')}
${adjustQueries(block, s, a, bias)}
    let p = exp(clamp(s - logSum, ${block.type}(-87.0), ${block.type}(0.0)));
${scoreText(block, v, 'row', 'g', 'dp')}
    let ds = p * (dp - delta);
${block.stream(k, 'row', (d, f) => `o${d} += ds * ${f};`)}
  }
${block.scatter('o', s.tq, (row, d, value) => t.finish(`qBase + ${row} * ${s.qWidth}u + ${d}`, `${value} * ${a.scale.toExponential()}f`))}`;
    return { body, ...grid(block, s.tq, s.heads, s.batch) };
  });
}

/** Outputs: dk, dv, each only where read. Inputs as for the query gradient. */
export function attentionKeyGradient(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  const block = new Block(s, blockRows(s));
  w.kernel('key', (t) => {
    const vec = s.d % 4 === 0;
    const [q, k, v, dout] = [0, 1, 2, 3].map((i) => t.tensor(w.inputs[i], { vec }));
    const stats = t.tensor(w.inputs[4]);
    const bias = s.bias ? t.tensor(w.inputs[5]) : null;
    const [wantK, wantV] = [w.reads(0), w.reads(1)];
    const biasText = bias
      ? `    s += ${block.type}(${range(block.rows).map((r) => biasAt(bias, s, 'i', `min(first + ${r}u, ${s.tk - 1}u)`))});\n`
      : '';
    const from = a.causal ? `select(0u, first - ${s.tk - s.tq}u, first > ${s.tk - s.tq}u)` : '0u';
    const future = a.causal
      ? `    s = ${block.type}(${range(block.rows).map((r) => `select(s[${r}], -1e30, first + ${r}u > i + ${s.tk - s.tq}u)`)});\n`
      : '';
    const body = `${head(block, s.tk)}  let kBase = b * ${s.tk * s.kWidth}u + gid.y * ${s.d}u;
${block.declare('k')}
${wantK ? `${block.declare('v')}\n${block.declare('x')}` : ''}
${wantV ? block.declare('y') : ''}
${block.loadBlock(k, 'k', 'kBase', s.kWidth, s.tk, ` * ${a.scale.toExponential()}f`)}
${wantK ? block.loadBlock(v, 'v', 'kBase', s.kWidth, s.tk) : ''}
  for (var h = gid.y * ${s.group}u; h < (gid.y + 1u) * ${s.group}u; h++) {
  for (var i = ${from}; i < ${s.tq}u; i++) {
    let row = (b * ${s.tq}u + i) * ${s.qWidth}u + h * ${s.d}u;
    let at = (b * ${s.heads}u + h) * ${s.tq}u + i;
${scoreText(block, q, 'row', 'k', 's')}
${biasText}${future}    let p = exp(clamp(s - ${stats.at('2u * at')}, ${block.type}(-87.0), ${block.type}(0.0)));
${wantV ? block.stream(dout, 'row', (d, f) => `y${d} += p * ${f};`) : ''}
${
  wantK
    ? `${scoreText(block, dout, 'row', 'v', 'dp')}
    let ds = p * (dp - ${stats.at('2u * at + 1u')});
${block.stream(q, 'row', (d, f) => `x${d} += ds * ${f};`)}`
    : ''
}
  }
  }
${wantK ? block.scatter('x', s.tk, (row, d, value) => store(t, w, 0, `kBase + ${row} * ${s.kWidth}u + ${d}`, `${value} * ${a.scale.toExponential()}f`)) : ''}
${wantV ? block.scatter('y', s.tk, (row, d, value) => store(t, w, 1, `kBase + ${row} * ${s.kWidth}u + ${d}`, value)) : ''}`;
    return { body, ...grid(block, s.tk, s.kvHeads, s.batch) };
  });
}

function store(t: KernelText, w: KernelWriter, output: number, index: string, value: string): string {
  return output === 0
    ? t.finish(index, value)
    : t.tensor(w.outputs[output], { writes: true }).set(index, value);
}
