import type { Gpu } from '../device.ts';
import { parameter } from '../graph/leaves.ts';
import type { Tensor } from '../graph/tensor.ts';
import { matmul } from '../ops/matmul.ts';
import { layerNorm } from '../ops/norm.ts';
import type { Program } from '../program.ts';
import { State } from '../state.ts';
import { formsFor, PLAIN, type Target } from './target.ts';

/** Work, in operations, below which a computation takes kernels as they are. */
const WORTH_TUNING = 5e8;
/** Rows, depth and columns of the product that is measured; a slice of one on a software adapter. */
const PRODUCT = { gpu: [2048, 512, 512], software: [768, 128, 256] } as const;
/** Rows and columns of the normalisation that is measured. */
const ROWS = [2048, 768] as const;
const ROUNDS = 3;
/** A later candidate must take less than this share of an earlier one's time: a draw is left to the plainer one. */
const MARGIN = 0.97;
/** A measurement takes at least this long, in milliseconds, by repeating what it measures. */
const LONG_ENOUGH = 4;
/** Milliseconds after which no further round begins. */
const PATIENCE = 400;

const known = new WeakMap<Gpu, Promise<Target>>();

export type CompileScratch = (state: State, y: Tensor, target: Target) => Promise<Program>;

export const isWorthTuning = (flops: number): boolean => flops >= WORTH_TUNING;

/** The device's fastest kernels, measured by whoever asks first. */
export function tuned(gpu: Gpu, compile: CompileScratch): Promise<Target> {
  let target = known.get(gpu);
  if (!target) {
    target = measure(gpu, compile);
    known.set(gpu, target);
  }
  return target;
}

async function measure(gpu: Gpu, compile: CompileScratch): Promise<Target> {
  const forms = formsFor(gpu.info).map((product) => ({ ...PLAIN, product }));
  const scratch = new Scratch(gpu, compile);
  try {
    const [m, k, n] = PRODUCT[gpu.info.software ? 'software' : 'gpu'];
    const product = matmul(scratch.wave('a', [m, k]), scratch.wave('b', [n, k]), { tb: true });
    const first = forms.length > 1 ? await scratch.fastest(product, forms) : forms[0];
    // For a processor, turned weights read no faster and take memory, and barriers cost more than they can give.
    if (gpu.info.software) return first;
    const second = await scratch.fastest(product, [first, { ...first, packed: true }]);
    const rows = layerNorm(scratch.wave('x', ROWS), null, null, 1e-5);
    return await scratch.fastest(rows, [second, { ...second, rows: 'group' }], 1e-5);
  } finally {
    scratch.destroy();
  }
}

/** Made-up numbers on the device, and races between kernels on them. */
class Scratch {
  private readonly state: State;

  constructor(
    private readonly gpu: Gpu,
    private readonly compile: CompileScratch,
  ) {
    this.state = new State(gpu, []);
  }

  wave(name: string, shape: readonly number[]): Tensor {
    const count = shape.reduce((a, b) => a * b, 1);
    const step = 0.37 + 0.1 * name.charCodeAt(0);
    this.state.setFrozen(
      name,
      Float32Array.from({ length: count }, (_, i) => Math.sin(i * step)),
    );
    return parameter(name, shape);
  }

  /** Times each target on `y`, taking turns, and drops one whose result is not the first one's. */
  async fastest(y: Tensor, targets: readonly Target[], tolerance = 0): Promise<Target> {
    const runners: { target: Target; program: Program; best: number }[] = [];
    let expected: Float32Array | null = null;
    for (const target of targets) {
      const program = await this.compile(this.state, y, target);
      program.run();
      const { y: value } = await program.collect(['y']);
      expected ??= value;
      if (expected.every((v, i) => Math.abs(v - value[i]) <= tolerance))
        runners.push({ target, program, best: Number.POSITIVE_INFINITY });
      else program.destroy();
    }
    const end = performance.now() + PATIENCE;
    let repeats = 1;
    for (let round = 0; round < ROUNDS && (round === 0 || performance.now() < end); round++)
      for (const r of runners) {
        let ms = await this.time(r.program, repeats);
        while (ms < LONG_ENOUGH && repeats < 256) {
          repeats *= 2;
          ms = await this.time(r.program, repeats);
        }
        r.best = Math.min(r.best, ms / repeats);
      }
    for (const { program } of runners) program.destroy();
    return runners.reduce((a, r) => (r.best < MARGIN * a.best ? r : a)).target;
  }

  destroy(): void {
    this.state.destroy();
  }

  private async time(program: Program, repeats: number): Promise<number> {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) program.run();
    await this.gpu.device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  }
}
