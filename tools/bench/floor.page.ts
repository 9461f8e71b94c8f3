import { normal } from './model.ts';

/**
 * What plain products reach on this adapter: register tiles over one of the model's layers, timed in turns with the
 * engines. The fastest tile is the floor under a step's time.
 */

interface Tile {
  /** Rows and vec4 columns an invocation holds. */
  rows: number;
  columns: number;
  /** The four lanes of a quad share their rows: each loads a quarter of them and broadcasts. */
  shared?: boolean;
}

const tiles: Tile[] = [
  { rows: 4, columns: 1 },
  { rows: 8, columns: 1 },
  { rows: 8, columns: 2 },
  { rows: 8, columns: 4 },
  { rows: 16, columns: 2 },
  { rows: 8, columns: 1, shared: true },
  { rows: 8, columns: 2, shared: true },
];

const range = (n: number) => [...Array(n).keys()];

/** WGSL of C [m, n] = A [m, k] B [k, n], all row-major, k and n multiples of four. */
function tileSource({ rows, columns, shared }: Tile, m: number, n: number, k: number) {
  const [n4, k4] = [n / 4, k / 4];
  const [wx, wy] = [shared ? 4 : 8, shared ? 8 : 4];
  const r = range(rows);
  const c = range(columns);
  const start = (i: string) => `min(row + ${i}, ${m - 1}u) * ${k4}u`;
  const loads = shared
    ? [
        ...range(rows / 4).map((q) => `let s${q} = a[p${q} + kq];`),
        ...r.map((i) => `let a${i} = subgroupBroadcast(s${i >> 2}, ${i & 3}u);`),
      ]
    : r.map((i) => `let a${i} = a[p${i} + kq];`);
  const sums = range(4).map(
    (
      u,
    ) => `{ ${c.map((j) => `let b${j} = b[(4u * kq + ${u}u) * ${n4}u + min(col + ${j}u, ${n4 - 1}u)];`).join(' ')}
    ${r.flatMap((i) => c.map((j) => `c${i}_${j} += a${i}[${u}] * b${j};`)).join(' ')} }`,
  );
  const code = `${shared ? 'enable subgroups;\n' : ''}
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(${wx}, ${wy})
fn main(@builtin(global_invocation_id) gid: vec3u${shared ? ', @builtin(subgroup_invocation_id) lane: u32' : ''}) {
  let col = gid.x * ${columns}u;
  let row = gid.y * ${rows}u;
  ${shared ? '' : `if (row >= ${m}u || col >= ${n4}u) { return; }`}
  ${(shared ? range(rows / 4) : r).map((i) => `let p${i} = ${start(shared ? `${4 * i}u + lane % 4u` : `${i}u`)};`).join(' ')}
  ${r.flatMap((i) => c.map((j) => `var c${i}_${j} = vec4f();`)).join(' ')}
  for (var kq = 0u; kq < ${k4}u; kq++) {
    ${loads.join(' ')}
    ${sums.join('\n    ')}
  }
  ${r
    .flatMap((i) =>
      c.map(
        (j) =>
          `if (row + ${i}u < ${m}u && col + ${j}u < ${n4}u) { y[(row + ${i}u) * ${n4}u + col + ${j}u] = c${i}_${j}; }`,
      ),
    )
    .join('\n  ')}
}`;
  return { code, grid: [Math.ceil(n4 / columns / wx), Math.ceil(m / rows / wy)] as const };
}

export interface FloorResult {
  /** GFLOP/s of each tile's rounds. */
  tiles: { name: string; rates: number[] }[];
  shape: [number, number, number];
  adapter: string;
}

export interface FloorArguments {
  /** Rows, depth and columns of the product; depth and columns multiples of four. */
  shape: [number, number, number];
  steps: number;
}

async function bench({ shape, steps }: FloorArguments): Promise<FloorResult> {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error('There is no WebGPU adapter.');
  const subgroups = adapter.features.has('subgroups');
  const device = await adapter.requestDevice({ requiredFeatures: subgroups ? ['subgroups'] : [] });
  const [m, k, n] = shape;
  const buffer = (count: number, data?: Float32Array) => {
    const b = device.createBuffer({ size: 4 * count, usage: 0x80 | 0x8 });
    if (data) device.queue.writeBuffer(b, 0, data as Float32Array<ArrayBuffer>);
    return b;
  };
  const operands = [buffer(m * k, normal(m * k, 1, 1)), buffer(k * n, normal(k * n, 1, 2)), buffer(m * n)];
  const runs = await Promise.all(
    tiles
      .filter((t) => subgroups || !t.shared)
      .map(async (tile) => {
        const { code, grid } = tileSource(tile, m, n, k);
        const pipeline = await device.createComputePipelineAsync({
          layout: 'auto',
          compute: { module: device.createShaderModule({ code }) },
        });
        const group = device.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: operands.map((b, binding) => ({ binding, resource: { buffer: b } })),
        });
        const time = async () => {
          const encoder = device.createCommandEncoder();
          const pass = encoder.beginComputePass();
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(...grid);
          pass.end();
          const from = performance.now();
          device.queue.submit([encoder.finish()]);
          await device.queue.onSubmittedWorkDone();
          return (2 * m * n * k) / (performance.now() - from) / 1e6;
        };
        return {
          name: `${tile.rows}x${4 * tile.columns}${tile.shared ? ', rows shared by a quad' : ''}`,
          time,
          rates: [] as number[],
        };
      }),
  );
  for (const r of runs) await r.time();
  for (let t = 0; t < steps; t++) {
    await takeTurn();
    for (const r of runs) r.rates.push(await r.time());
  }
  const { vendor, architecture, description } = adapter.info;
  return {
    tiles: runs.map(({ name, rates }) => ({ name, rates })),
    shape: [m, k, n],
    adapter: description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter',
  };
}

Object.assign(globalThis, { bench });
