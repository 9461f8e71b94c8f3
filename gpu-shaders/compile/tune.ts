import type { Gpu } from '../device.ts';
import { parameter } from '../graph/leaves.ts';
import { nodesOf, type Tensor } from '../graph/tensor.ts';
import { matmul } from '../ops/matmul.ts';
import type { Program } from '../program.ts';
import { State } from '../state.ts';
import { formsFor, PLAIN, type ProductForm, type Target } from './target.ts';

/** Work, in operations, below which a computation takes kernels as they are. */
const WORTH_MEASURING = 5e8;
/** Rows, depth and columns of the product that is measured. */
const [M, K, N] = [768, 128, 256];
const ROUNDS = 3;
/** A measurement takes at least this long, in milliseconds, by repeating the product. */
const LONG_ENOUGH = 4;

const known = new WeakMap<Gpu, Promise<Target>>();

type Compile = (state: State, y: Tensor, target: Target) => Promise<Program>;

/** The target for a computation: measured once a device, by the first that is large enough. */
export function targetFor(gpu: Gpu, outputs: readonly Tensor[], compile: Compile): Promise<Target> {
  const forms = formsFor(gpu.info.features);
  if (forms.length === 1 || flopsOf(outputs) < WORTH_MEASURING) return Promise.resolve(PLAIN);
  let target = known.get(gpu);
  if (!target) {
    target = measure(gpu, forms, compile);
    known.set(gpu, target);
  }
  return target;
}

function flopsOf(outputs: readonly Tensor[]): number {
  return nodesOf(outputs).reduce((sum, node) => {
    const { lower } = node.op;
    const flops = lower.kind === 'point' || lower.kind === 'kernels' ? lower.flops?.(node) : 0;
    return sum + (flops ?? 0);
  }, 0);
}

/** Times each form on one product, takes turns, and drops a form whose result differs from the first one's. */
async function measure(gpu: Gpu, forms: readonly ProductForm[], compile: Compile): Promise<Target> {
  const state = new State(gpu, []);
  const wave = (n: number, step: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * step));
  state.setFrozen('a', wave(M * K, 0.37));
  state.setFrozen('b', wave(N * K, 0.61));
  const y = matmul(parameter('a', [M, K]), parameter('b', [N, K]), { tb: true });
  const candidates: { form: ProductForm; program: Program; best: number }[] = [];
  let expected: Float32Array | null = null;
  for (const form of forms) {
    const program = await compile(state, y, { product: form });
    program.run();
    const { y: value } = await program.collect(['y']);
    expected ??= value;
    if (expected.every((v, i) => v === value[i]))
      candidates.push({ form, program, best: Number.POSITIVE_INFINITY });
    else program.destroy();
  }
  let repeats = 1;
  for (let round = 0; round < ROUNDS; round++)
    for (const c of candidates) {
      let ms = await time(gpu, c.program, repeats);
      while (ms < LONG_ENOUGH && repeats < 256) {
        repeats *= 2;
        ms = await time(gpu, c.program, repeats);
      }
      c.best = Math.min(c.best, ms / repeats);
    }
  const best = candidates.reduce((a, c) => (c.best < a.best ? c : a));
  for (const c of candidates) c.program.destroy();
  state.destroy();
  return { product: best.form };
}

async function time(gpu: Gpu, program: Program, repeats: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) program.run();
  await gpu.device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}
