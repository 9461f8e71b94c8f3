import type { ProductForm } from '../compile/target.ts';
import type { Access, KernelText, KernelWriter } from '../compile/writer.ts';
import type { MatmulAttrs, MatmulSizes } from '../ops/matmul.ts';
import { sharedMatmulKernel } from './matmulShared.ts';

/** Rows or columns below which a tile of workgroup memory would be mostly empty. */
const NARROW = 32;

/**
 * Register-tile product: each invocation holds `rm` rows by `4 cn` columns of the result and walks k in fours,
 * without workgroup memory. Operands are read as vec4 along their contiguous axis where its length is a multiple
 * of four, else element by element with bounds.
 *
 * In the quad forms four neighbouring invocations hold tiles side by side: each reads a quarter of the rows of a that
 * all four need, and gets the others by subgroup operations. Reads cost SwiftShader six times a multiplication.
 *
 * Shapes: a [batch, m, k] (or [batch, k, m]), b [k, n] or [batch, k, n] (or transposed).
 * Grid: columns of tiles, rows of tiles, batch. Memory: registers only.
 */
export function matmulKernel(w: KernelWriter, s: MatmulSizes, attrs: MatmulAttrs): void {
  if (w.target.product === 'shared' && Math.min(s.m, s.n) >= NARROW) {
    sharedMatmulKernel(w, s, attrs);
    return;
  }
  const tile = chooseTile(s, attrs, w.target.product);
  w.kernel('tile', (k) => ({
    body: tileBody(k, w, s, attrs, tile),
    workgroup: [tile.wx * tile.wy, 1, 1],
    grid: [Math.ceil(s.n / (4 * tile.cn * tile.wx)), Math.ceil(s.m / (tile.rm * tile.wy)), s.batch],
  }));
}

interface Tile {
  /** Rows and vec4 columns an invocation holds. */
  rm: number;
  cn: number;
  /** Invocations side by side and one above the other in a workgroup. */
  wx: number;
  wy: number;
  quad: boolean;
}

/** Tall tiles reuse what they read; narrow results (a LoRA rank) get narrow ones so that no lane idles. */
function chooseTile({ m, n }: MatmulSizes, { ta }: MatmulAttrs, form: ProductForm): Tile {
  if ((form === 'quad' || form === 'tall') && !ta && n >= 32 && m >= 8)
    return { rm: form === 'tall' && m >= 64 ? 16 : 8, cn: 2, wx: 8, wy: 4, quad: true };
  const cn = n > 4 ? 2 : 1;
  const rm = m >= 8 ? 8 : m >= 4 ? 4 : m >= 2 ? 2 : 1;
  const columns = Math.ceil(n / (4 * cn));
  const wx = Math.min(8, columns >= 8 ? 8 : columns >= 4 ? 4 : columns >= 2 ? 2 : 1);
  return { rm, cn, wx, wy: Math.max(1, Math.min(32 / wx, Math.ceil(m / rm))), quad: false };
}

const range = (n: number) => [...Array(n).keys()];

function tileBody(k: KernelText, w: KernelWriter, s: MatmulSizes, { ta, tb }: MatmulAttrs, t: Tile): string {
  const lda = ta ? s.m : s.k;
  const ldb = tb ? s.k : s.n;
  const a = k.tensor(w.inputs[0], { vec: lda % 4 === 0 });
  const b = k.tensor(w.inputs[1], { vec: ldb % 4 === 0 });
  const rows = range(t.rm);
  const cols = range(t.cn);
  const tail = s.k % 4;
  const scales = tb && ldb === b.rowLength;
  const step = (kq: string, bound: number | null) =>
    [
      loadA(a, s, ta, t, kq, bound),
      loadB(b, s, tb, t, kq, bound),
      ...range(bound ?? 4).map((u) =>
        rows
          .map((i) => cols.map((c) => `    c${i}_${c} += ${scalarA(i, u, ta)} * b${c}_${u};`).join(' '))
          .join('\n'),
      ),
    ].join('\n');
  return `
${place(k, s, t)}
  let aBase = gid.z * ${s.m * s.k}u;
  let bBase = ${s.sharedB ? '0u' : `gid.z * ${s.k * s.n}u`};
  ${rows.flatMap((i) => cols.map((c) => `var c${i}_${c} = vec4f();`)).join(' ')}${scales ? columnScales(b, s, t) : ''}
  for (var kq = 0u; kq < ${Math.floor(s.k / 4)}u; kq++) {
${step('kq', null)}
  }
${tail ? `  {\n${step(`${Math.floor(s.k / 4)}u`, tail)}\n  }` : ''}
  ${t.quad ? 'if (outside) { return; }' : ''}
  var tile = array<vec4f, ${t.rm * t.cn}>(${rows.flatMap((i) => cols.map((c) => `c${i}_${c}`)).join(', ')});
  // A loop, not a copy of the epilogue for each element: shaders compile several times faster.
  for (var e = 0u; e < ${t.rm * t.cn}u; e++) {
    let r = row + e / ${t.cn}u;
    let j = col + 4u * (e % ${t.cn}u);
    if (r >= ${s.m}u || j >= ${s.n}u) { continue; }
    let v = tile[e];
    let y = gid.z * ${s.m * s.n}u + r * ${s.n}u + j;
    ${
      s.n % 4
        ? `for (var u = 0u; u < min(4u, ${s.n}u - j); u++) { ${k.finish('y + u', 'v[u]')} }`
        : range(4)
            .map((u) => k.finish(`y + ${u}u`, `v[${u}]`))
            .join(' ')
    }
  }`;
}

/** Declares the tile's first row and column. */
function place(k: KernelText, s: MatmulSizes, t: Tile): string {
  const head = `  let tileCol = (wid.x * ${t.wx}u + lane % ${t.wx}u) * ${4 * t.cn}u;
  let tileRow = (wid.y * ${t.wy}u + lane / ${t.wx}u) * ${t.rm}u;
  let outside = tileRow >= ${s.m}u || tileCol >= ${s.n}u;`;
  if (!t.quad) return `${head}\n  if (outside) { return; }\n  let row = tileRow;\n  let col = tileCol;`;
  // Neighbours count on each other, so a tile outside the result goes along with the last one inside.
  k.enable('subgroups');
  const last = (n: number, size: number) => Math.floor((n - 1) / size) * size;
  return `${head}
  let row = min(tileRow, ${last(s.m, t.rm)}u);
  let col = min(tileCol, ${last(s.n, 4 * t.cn)}u);
  let ownRow = row + lane % 4u * ${t.rm / 4}u;`;
}

/** The tile's share of a for four steps of k: a vec4 along k for each row, or along rows for each step. */
function loadA(a: Access, s: MatmulSizes, ta: boolean, t: Tile, kq: string, bound: number | null): string {
  if (!ta) {
    const [first, name] = t.quad ? ['ownRow', 'own'] : ['row', 'a'];
    const round = t.quad
      ? range(t.rm).map((i) => {
          const share = t.rm / 4;
          return `    let a${i} = quadBroadcast(own${i % share}, ${Math.floor(i / share)}u);`;
        })
      : [];
    return range(t.quad ? t.rm / 4 : t.rm)
      .map((i) => {
        const row = s.m % t.rm ? `min(${first} + ${i}u, ${s.m - 1}u)` : `(${first} + ${i}u)`;
        if (s.k % 4 === 0)
          return `    let ${name}${i} = ${a.at4(`aBase / 4u + ${row} * ${s.k / 4}u + ${kq}`)};`;
        const parts = range(4).map((u) =>
          bound !== null && u >= bound ? '0.0' : a.at(`aBase + ${row} * ${s.k}u + 4u * ${kq} + ${u}u`),
        );
        return `    let ${name}${i} = vec4f(${parts.join(', ')});`;
      })
      .concat(round)
      .join('\n');
  }
  const blocks = Math.ceil(t.rm / 4);
  return range(bound ?? 4)
    .flatMap((u) =>
      range(blocks).map((q) => {
        if (s.m % 4 === 0 && t.rm >= 4) {
          const block = s.m % t.rm ? `min(row / 4u + ${q}u, ${s.m / 4 - 1}u)` : `(row / 4u + ${q}u)`;
          return `    let a${u}_${q} = ${a.at4(`aBase / 4u + (4u * ${kq} + ${u}u) * ${s.m / 4}u + ${block}`)};`;
        }
        const parts = range(4).map((j) =>
          a.at(`aBase + (4u * ${kq} + ${u}u) * ${s.m}u + min(row + ${4 * q + j}u, ${s.m - 1}u)`),
        );
        return `    let a${u}_${q} = vec4f(${parts.join(', ')});`;
      }),
    )
    .join('\n');
}

function scalarA(i: number, u: number, ta: boolean): string {
  return ta ? `a${u}_${i >> 2}[${i & 3}]` : `a${i}[${u}]`;
}

/** Column `n` of the tile, at the latest the last of b. */
const columnOf = (s: MatmulSizes, t: Tile, n: number) =>
  s.n % (4 * t.cn) ? `min(col + ${n}u, ${s.n - 1}u)` : `(col + ${n}u)`;

/** The scales of an int8 b whose rows are the result's columns: read once, before k is walked. */
function columnScales(b: Access, s: MatmulSizes, t: Tile): string {
  const scales = range(4 * t.cn).map(
    (n) => `let s${n} = ${b.scale(`bBase / ${s.k}u + ${columnOf(s, t, n)}`)};`,
  );
  return `\n  ${scales.join(' ')}`;
}

/** The tile's share of b for four steps of k, as vec4s along columns. */
function loadB(b: Access, s: MatmulSizes, tb: boolean, t: Tile, kq: string, bound: number | null): string {
  if (!tb) {
    // Rows of b are steps of k: so are the scales of an int8 one.
    const scaled = b.rowLength === s.n;
    return range(bound ?? 4)
      .map((u) => {
        const kk = `(4u * ${kq} + ${u}u)`;
        const scale = scaled ? `s${u}` : undefined;
        const loads = range(t.cn).map((c) => {
          if (s.n % 4 === 0) {
            const col = s.n % (4 * t.cn) ? `min(col / 4u + ${c}u, ${s.n / 4 - 1}u)` : `(col / 4u + ${c}u)`;
            return `    let b${c}_${u} = ${b.at4(`bBase / 4u + ${kk} * ${s.n / 4}u + ${col}`, scale)};`;
          }
          const parts = range(4).map((j) =>
            b.at(`bBase + ${kk} * ${s.n}u + min(col + ${4 * c + j}u, ${s.n - 1}u)`, scale),
          );
          return `    let b${c}_${u} = vec4f(${parts.join(', ')});`;
        });
        return [
          ...(scale ? [`    let ${scale} = ${b.scale(`bBase / ${s.n}u + ${kk}`)};`] : []),
          ...loads,
        ].join('\n');
      })
      .join('\n');
  }
  const scaleOf = (n: number) => (b.rowLength === s.k ? `s${n}` : undefined);
  const loads = range(4 * t.cn).map((n) => {
    const col = columnOf(s, t, n);
    if (s.k % 4 === 0)
      return `    let t${n} = ${b.at4(`bBase / 4u + ${col} * ${s.k / 4}u + ${kq}`, scaleOf(n))};`;
    const parts = range(4).map((u) =>
      bound !== null && u >= bound
        ? '0.0'
        : b.at(`bBase + ${col} * ${s.k}u + 4u * ${kq} + ${u}u`, scaleOf(n)),
    );
    return `    let t${n} = vec4f(${parts.join(', ')});`;
  });
  const turns = range(bound ?? 4).flatMap((u) =>
    range(t.cn).map(
      (c) =>
        `    let b${c}_${u} = vec4f(${range(4)
          .map((j) => `t${4 * c + j}[${u}]`)
          .join(', ')});`,
    ),
  );
  return [...loads, ...turns].join('\n');
}
