import type { Access, KernelText, KernelWriter } from '../compile/writer.ts';
import type { MatmulAttrs, MatmulSizes } from '../ops/matmul.ts';

/** Rows and columns of a workgroup's tile; each of its invocations holds four by four of them. */
const TILE = 64;
/** Steps of k that lie in workgroup memory at a time. */
const DEPTH = 16;
const SIDE = TILE / 4;
const WORKGROUP = SIDE * SIDE;

const range = (n: number) => [...Array(n).keys()];

/**
 * Product by tiles in workgroup memory: 256 invocations bring 64 rows of a and 64 columns of b, 16 steps of k at a
 * time, and each reads from there what its 4 × 4 results need. Terms are added in the order of k, as in the register
 * tile. With `half` the tiles hold f16 and products are f16; sums stay f32.
 *
 * Shapes: a [batch, m, k] (or [batch, k, m]), b [k, n] or [batch, k, n] (or transposed).
 * Grid: columns of tiles, rows of tiles, batch. Memory: 8 KiB a workgroup, 4 with `half`.
 */
export function sharedMatmulKernel(w: KernelWriter, s: MatmulSizes, { ta, tb }: MatmulAttrs): void {
  w.kernel('shared', (k) => {
    const { half } = w.target;
    if (half) k.enable('f16');
    const a = k.tensor(w.inputs[0], { vec: (ta ? s.m : s.k) % 4 === 0 });
    const b = k.tensor(w.inputs[1], { vec: (tb ? s.k : s.n) % 4 === 0 });
    const vector = half ? 'vec4h' : 'vec4f';
    const of = (text: string) => (half ? `vec4h(${text})` : text);
    const loadA = ta
      ? alongRows(a, 'aBase', { width: s.m, depth: s.k, first: 'wid.y' })
      : alongDepth(a, 'aBase', { width: s.m, depth: s.k, first: 'wid.y' });
    const loadB = tb
      ? alongDepth(b, 'bBase', { width: s.n, depth: s.k, first: 'wid.x' })
      : alongRows(b, 'bBase', { width: s.n, depth: s.k, first: 'wid.x' });
    const body = `  let tx = lane % ${SIDE}u;
  let ty = lane / ${SIDE}u;
  let aBase = wid.z * ${s.m * s.k}u;
  let bBase = ${s.sharedB ? '0u' : `wid.z * ${s.k * s.n}u`};
  ${range(4)
    .map((i) => `var c${i} = vec4f();`)
    .join(' ')}
  for (var k0 = 0u; k0 < ${s.k}u; k0 += ${DEPTH}u) {
    tileA[lane] = ${of(loadA)};
    tileB[lane] = ${of(loadB)};
    workgroupBarrier();
    for (var q = 0u; q < ${DEPTH / 4}u; q++) {
${readA(ta)}
${readB(tb, vector)}
${range(4)
  .map(
    (u) =>
      `      ${range(4)
        .map((i) => addTerm(i, u, ta, half))
        .join(' ')}`,
  )
  .join('\n')}
    }
    workgroupBarrier();
  }
${store(k, s)}`;
    const tiles = `var<workgroup> tileA: array<${vector}, ${WORKGROUP}>;\nvar<workgroup> tileB: array<${vector}, ${WORKGROUP}>;\n`;
    return {
      body,
      declarations: tiles,
      workgroup: [WORKGROUP, 1, 1],
      grid: [Math.ceil(s.n / TILE), Math.ceil(s.m / TILE), s.batch],
    };
  });
}

interface Side {
  /** Rows of a, or columns of b. */
  width: number;
  depth: number;
  /** Which coordinate of the workgroup counts this side's tiles. */
  first: string;
}

/** An invocation's four elements of a factor whose rows run along k: tile element [row, k / 4]. */
function alongDepth(x: Access, base: string, { width, depth, first }: Side): string {
  const row = `min(${first} * ${TILE}u + lane / ${DEPTH / 4}u, ${width - 1}u)`;
  const at = `k0 + 4u * (lane % ${DEPTH / 4}u)`;
  if (depth % 4 === 0) {
    const scale = rowScale(x, base, depth, row);
    const value = x.at4(`(${base} + ${row} * ${depth}u + min(${at}, ${depth - 4}u)) / 4u`, scale);
    return depth % DEPTH === 0 ? value : `select(vec4f(), ${value}, ${at} < ${depth}u)`;
  }
  return four((j) => {
    const k = `${at} + ${j}u`;
    const value = x.at(
      `${base} + ${row} * ${depth}u + min(${k}, ${depth - 1}u)`,
      rowScale(x, base, depth, row),
    );
    return `select(0.0, ${value}, ${k} < ${depth}u)`;
  });
}

/** An invocation's four elements of a factor whose rows run along its width: tile element [k, row / 4]. */
function alongRows(x: Access, base: string, { width, depth, first }: Side): string {
  const k = `k0 + lane / ${SIDE}u`;
  const start = `${base} + min(${k}, ${depth - 1}u) * ${width}u`;
  const row = `${first} * ${TILE}u + 4u * (lane % ${SIDE}u)`;
  const scale = rowScale(x, base, width, `min(${k}, ${depth - 1}u)`);
  const value =
    width % 4 === 0
      ? x.at4(`(${start} + min(${row}, ${width - 4}u)) / 4u`, scale)
      : four((j) => x.at(`${start} + min(${row} + ${j}u, ${width - 1}u)`, scale));
  return depth % DEPTH === 0 ? value : `select(vec4f(), ${value}, ${k} < ${depth}u)`;
}

/** The scale of a row of an int8 factor, where its rows are those that the product walks. */
const rowScale = (x: Access, base: string, length: number, row: string) =>
  x.rowLength === length ? x.scale(`${base} / ${length}u + ${row}`) : undefined;

const four = (part: (j: number) => string) => `vec4f(${range(4).map(part).join(', ')})`;

function readA(ta: boolean): string {
  return range(4)
    .map((i) =>
      ta
        ? `      let a${i} = tileA[(4u * q + ${i}u) * ${SIDE}u + ty];`
        : `      let a${i} = tileA[(4u * ty + ${i}u) * ${DEPTH / 4}u + q];`,
    )
    .join('\n');
}

function readB(tb: boolean, vector: string): string {
  if (!tb)
    return range(4)
      .map((u) => `      let b${u} = tileB[(4u * q + ${u}u) * ${SIDE}u + tx];`)
      .join('\n');
  const columns = range(4).map((n) => `      let t${n} = tileB[(4u * tx + ${n}u) * ${DEPTH / 4}u + q];`);
  const turned = range(4).map((u) => `      let b${u} = ${vector}(t0[${u}], t1[${u}], t2[${u}], t3[${u}]);`);
  return [...columns, ...turned].join('\n');
}

/** Adds step u of k to row i of an invocation's results. */
function addTerm(i: number, u: number, ta: boolean, half: boolean): string {
  const product = `${ta ? `a${u}[${i}]` : `a${i}[${u}]`} * b${u}`;
  return `c${i} += ${half ? `vec4f(${product})` : product};`;
}

function store(k: KernelText, s: MatmulSizes): string {
  return `  var tile = array<vec4f, 4>(c0, c1, c2, c3);
  for (var e = 0u; e < 4u; e++) {
    let r = wid.y * ${TILE}u + 4u * ty + e;
    let j = wid.x * ${TILE}u + 4u * tx;
    if (r >= ${s.m}u || j >= ${s.n}u) { continue; }
    let v = tile[e];
    let y = wid.z * ${s.m * s.n}u + r * ${s.n}u + j;
    for (var u = 0u; u < min(4u, ${s.n}u - j); u++) { ${k.finish('y + u', 'v[u]')} }
  }`;
}
