import { kernel } from 'peer-tiles';
import { compile, Gpu, matmul, parameter, State } from '../../gpu-shaders/index.ts';
import { WARM } from './measure.ts';
import { normal } from './model.ts';

/**
 * What plain products reach on this adapter: register and workgroup tiles, those of the peers' folder and the engine's
 * own product among them, over one of the model's layers, in turns with the engines. All are timed while the engines warm
 * up; the fastest then does a step's operations in each round, so that it is measured over the same stretch of time as a
 * step. It is the floor under a step's time.
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
function tileSource({ rows, columns, shared }: Tile, [m, k, n]: FloorArguments['shape'], lanes: number) {
  const [n4, k4] = [n / 4, k / 4];
  const [wx, wy] = [shared ? 4 : 8, shared ? 8 : 4];
  // Where a subgroup is a quad, SwiftShader's for one, its broadcast is the faster of the two.
  const broadcast = lanes === 4 ? 'subgroupBroadcast' : 'quadBroadcast';
  const r = range(rows);
  const c = range(columns);
  const start = (i: string) => `min(row + ${i}, ${m - 1}u) * ${k4}u`;
  const loads = shared
    ? [
        ...range(rows / 4).map((q) => `let s${q} = a[p${q} + kq];`),
        ...r.map((i) => `let a${i} = ${broadcast}(s${i >> 2}, ${i & 3}u);`),
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

/** Tiles of the peers' folder that are worth a turn somewhere. */
const peers = [
  { name: "peers' 8x8", kind: 'reg', rm: 8, rn: 2, wx: 8, wy: 4 },
  { name: "peers' 64x64 in workgroup memory", kind: 'shared', rm: 4, rn: 1, wx: 16, wy: 16, tk: 16 },
] as const;

export interface FloorResult {
  /** GFLOP/s of each tile while the engines warmed up. */
  tiles: { name: string; rates: number[] }[];
  /** The fastest of them, and what it kept up in each round after that, over `flops` operations. */
  best: { name: string; rates: number[]; flops: number };
  shape: [number, number, number];
  adapter: string;
}

export interface FloorArguments {
  /** Rows, depth and columns of the product; depth and columns multiples of four. */
  shape: [number, number, number];
  steps: number;
  /** Operations of a step of the model. */
  flops: number;
}

interface Candidate {
  name: string;
  rates: number[];
  run(): void;
}

async function bench({ shape, steps, flops }: FloorArguments): Promise<FloorResult> {
  const gpu = await Gpu.open(navigator.gpu);
  const [m, k, n] = shape;
  const data = { a: normal(m * k, 1, 1), b: normal(k * n, 1, 2) };
  const candidates = [...(await plainTiles(gpu, shape, data)), await ownProduct(gpu, shape, data)];
  const product = 2 * m * n * k;
  const rate = async ({ run }: Candidate, times: number) => {
    const from = performance.now();
    for (let i = 0; i < times; i++) run();
    await gpu.device.queue.onSubmittedWorkDone();
    return (times * product) / (performance.now() - from) / 1e6;
  };
  for (const c of candidates) await rate(c, 1);
  const warm = Math.min(WARM, steps - 1);
  for (let t = 0; t < warm; t++) {
    await takeTurn();
    for (const c of [...candidates, ...candidates]) c.rates.push(await rate(c, 1));
  }
  const top = (c: Candidate) => Math.max(...c.rates);
  const best = candidates.reduce((a, c) => (top(c) > top(a) ? c : a));
  const times = Math.max(1, Math.round(flops / product));
  const rates: number[] = [];
  for (let t = warm; t < steps; t++) {
    await takeTurn();
    rates.push(await rate(best, times));
  }
  return {
    tiles: candidates.map(({ name, rates: own }) => ({ name, rates: own })),
    best: { name: best.name, rates, flops: times * product },
    shape,
    adapter: gpu.info.description,
  };
}

type Data = Record<'a' | 'b', Float32Array>;

async function plainTiles(gpu: Gpu, [m, k, n]: FloorArguments['shape'], data: Data): Promise<Candidate[]> {
  const { device } = gpu;
  const subgroups = gpu.info.features.includes('subgroups');
  const filled = (values: Float32Array, label: string) => {
    const buffer = gpu.buffer(values.byteLength, label);
    device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
    return buffer;
  };
  const operands = [filled(data.a, 'a'), filled(data.b, 'b'), gpu.buffer(4 * m * n, 'y')];
  const own = tiles.map((tile) => ({
    name: `${tile.rows}x${4 * tile.columns}${tile.shared ? ', rows shared by a quad' : ''}`,
    shared: tile.shared ?? false,
    ...tileSource(tile, [m, k, n], device.adapterInfo.subgroupMaxSize),
  }));
  const others = kernel
    ? peers
        .filter((t) => t.kind !== 'shared' || n % 64 === 0)
        .map((t) => ({ name: t.name, shared: false, ...kernel!(t, m, n, k) }))
    : [];
  return Promise.all(
    [...own, ...others]
      .filter((t) => subgroups || !t.shared)
      .map(async ({ name, code, grid }) => {
        const pipeline = await device.createComputePipelineAsync({
          layout: 'auto',
          compute: { module: device.createShaderModule({ code }), entryPoint: 'main' },
        });
        const group = device.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: operands.map((b, binding) => ({ binding, resource: { buffer: b } })),
        });
        const run = () => {
          const encoder = device.createCommandEncoder();
          const pass = encoder.beginComputePass();
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(...grid);
          pass.end();
          device.queue.submit([encoder.finish()]);
        };
        return { name, rates: [], run };
      }),
  );
}

async function ownProduct(gpu: Gpu, [m, k, n]: FloorArguments['shape'], data: Data): Promise<Candidate> {
  const state = new State(gpu, []);
  state.setFrozen('a', data.a);
  state.setFrozen('b', data.b);
  const y = matmul(parameter('a', [m, k]), parameter('b', [k, n]));
  const program = await compile(state, { label: 'product', outputs: { y } });
  return { name: "the engine's own", rates: [], run: () => program.run() };
}

Object.assign(globalThis, { bench });
