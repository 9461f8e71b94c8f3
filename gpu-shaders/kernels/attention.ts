import type { KernelWriter } from '../compile/writer.ts';
import type { AttentionAttrs, AttentionSizes } from '../ops/attention.ts';
import { literal } from '../ops/map.ts';
import { lines, Parts, type Store } from './attentionParts.ts';

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

const bases = (s: AttentionSizes) => `  let qBase = b * ${s.tq * s.qWidth}u + h * ${s.d}u;
  let kBase = b * ${s.tk * s.kWidth}u + h / ${s.group}u * ${s.d}u;
  let stats = (b * ${s.heads}u + h) * ${s.tq}u;`;

/** Outputs: out, log-sum [B, H, Tq]. Inputs: q, k, v and perhaps the bias. */
export function attentionForward(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  w.kernel('forward', (t) => {
    const p = new Parts(s, a, t, w, s.tq, s.tk);
    const [q, k, v] = [0, 1, 2].map((i) => p.tensor(i));
    const bias = s.bias ? t.tensor(w.inputs[3]) : null;
    const logSum = w.reads(1) ? t.tensor(w.outputs[1], { writes: true }) : null;
    const max4 = (x: string) => `max(max(${x}.x, ${x}.y), max(${x}.z, ${x}.w))`;
    const body = `${p.head(s.heads)}
${bases(s)}
${p.blockStarts('q', 'qBase', s.qWidth)}
${p.accumulator('acc')}
  ${p.rows.map((r) => `var top${r} = -1e30; var sum${r} = 0.0;`).join(' ')}
  for (var j = 0u; j < ${p.keyLimit()}; j += ${p.cols.length}u) {
${p.streamStarts('k', 'kBase', s.kWidth, s.tk)}
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
${p.leave()}
  var sums = array<f32, ${p.rows.length}>(${p.rows.map((r) => `sum${r}`).join(', ')});
  ${
    logSum
      ? `var tops = array<f32, ${p.rows.length}>(${p.rows.map((r) => `top${r}`).join(', ')});
  for (var r = 0u; r < min(${p.rows.length}u, ${s.tq}u - first); r++) { ${logSum.set('stats + first + r', 'tops[r] + log(sums[r])')} }`
      : ''
  }
${p.scatter('acc', 'qBase', s.qWidth, '(1.0 / sums[r])', (i, x) => t.finish(i, x))}`;
    return { body, ...p.grid(s.heads) };
  });
}

/** Output: dq. Inputs: q, k, v, dout, statistics and perhaps the bias. */
export function attentionQueryGradient(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  w.kernel('query', (t) => {
    const p = new Parts(s, a, t, w, s.tq, s.tk);
    const [q, k, v, dout] = [0, 1, 2, 3].map((i) => p.tensor(i));
    const stats = t.tensor(w.inputs[4]);
    const bias = s.bias ? t.tensor(w.inputs[5]) : null;
    const body = `${p.head(s.heads)}
${bases(s)}
${p.blockStarts('q', 'qBase', s.qWidth)}
${lines(p.rows, (r) => {
  const at = `2u * (stats + min(first + ${r}u, ${s.tq - 1}u))`;
  return `  let logSum${r} = ${stats.at(at)}; let delta${r} = ${stats.at(`${at} + 1u`)};`;
})}
${p.accumulator('acc')}
  for (var j = 0u; j < ${p.keyLimit()}; j += ${p.cols.length}u) {
${p.streamStarts('k', 'kBase', s.kWidth, s.tk)}
${p.product('s', q, 'q', k, 'k')}
${p.adjust(bias, 'queries')}
${p.eachQuad((r, c) => `s${r}_${c} = exp(clamp(s${r}_${c} - logSum${r}, vec4f(-87.0), vec4f(0.0)));`)}
${p.product('g', dout, 'q', v, 'k')}
${p.eachQuad((r, c) => `s${r}_${c} *= g${r}_${c} - delta${r};`)}
${p.accumulate('acc', 's', k, 'k')}
  }
${p.leave()}
${p.scatter('acc', 'qBase', s.qWidth, literal(a.scale), (i, x) => t.finish(i, x))}`;
    return { body, ...p.grid(s.heads) };
  });
}

/** Outputs: dk, dv, each only where read. Inputs as for the query gradient. */
export function attentionKeyGradient(w: KernelWriter, s: AttentionSizes, a: AttentionAttrs): void {
  w.kernel('key', (t) => {
    const p = new Parts(s, a, t, w, s.tk, s.tq);
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
    const body = `${p.head(s.kvHeads).replace('let h =', 'let kvHead =')}
  let kBase = b * ${s.tk * s.kWidth}u + kvHead * ${s.d}u;
${p.blockStarts('k', 'kBase', s.kWidth)}
${wantK ? p.accumulator('accK') : ''}
${wantV ? p.accumulator('accV') : ''}
  for (var member = 0u; member < ${s.group}u; member++) {
  let h = kvHead * ${s.group}u + member;
  let qBase = b * ${s.tq * s.qWidth}u + h * ${s.d}u;
  let stats = (b * ${s.heads}u + h) * ${s.tq}u;
  for (var j = ${from}; j < ${s.tq}u; j += ${p.cols.length}u) {
${p.streamStarts('q', 'qBase', s.qWidth, s.tq)}
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
${p.leave()}
${wantK ? p.scatter('accK', 'kBase', s.kWidth, literal(a.scale), store(0)) : ''}
${wantV ? p.scatter('accV', 'kBase', s.kWidth, '1.0', store(1)) : ''}`;
    return { body, ...p.grid(s.kvHeads) };
  });
}
