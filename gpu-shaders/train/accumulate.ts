import { flatIndex, type KernelCall, type Place } from '../compile/writer.ts';
import type { State } from '../state.ts';
import { tailKernel } from './optimiser.ts';

/** Places of the flags in the `hyper` vector. */
const FIRST = 6;

/**
 * Dispatches that add up what a step's parts give, in the order of the parts: the gradients, and outputs by the number of
 * their elements. In the first part the sums begin anew; in the last they are put in the place of that part's own values,
 * where the optimiser and the host find them. Where `divisor` is an output, gradients and `loss` are divided by its sum.
 */
export function accumulation(state: State, hyper: Place, outputs: Readonly<Record<string, number>>) {
  // The divisor first: the others' last part reads its sum.
  const names = Object.keys(outputs).sort((a, b) => Number(b === 'divisor') - Number(a === 'divisor'));
  const summed = Object.fromEntries(names.map((name) => [`o:${name}`, outputs[name]]));
  summed['x:gradients'] = state.flatBytes / 4;
  const divisor: Place | null = 'divisor' in outputs ? { key: 'o:divisor', dtype: 'f32', bytes: 4 } : null;
  const calls: KernelCall[] = [];
  const buffers = new Map<string, { buffer: GPUBuffer; offset: number; bytes: number }>();
  for (const [key, elements] of Object.entries(summed)) {
    const bytes = 4 * elements;
    const own: Place = { key, dtype: 'f32', bytes };
    const sums: Place = { key: `x:sums ${key}`, dtype: 'f32', bytes };
    buffers.set(sums.key, { buffer: state.gpu.buffer(bytes, sums.key), offset: 0, bytes });
    const by = key === 'o:loss' || key === 'x:gradients' ? divisor : null;
    calls.push(addUp({ own, sums, hyper, by }, elements));
  }
  return { calls, buffers, owned: [...buffers.values()].map((b) => b.buffer) };
}

interface Summed {
  own: Place;
  sums: Place;
  hyper: Place;
  by: Place | null;
}

function addUp({ own, sums, hyper, by }: Summed, elements: number): KernelCall {
  return tailKernel('accumulate', (k) => {
    const flat = flatIndex(elements);
    const flags = k.bind(hyper);
    const [value, sum] = [own, sums].map((place) => k.bind(place, { writes: true }));
    const body = `${flat.head}
  var all = ${value.at('i')};
  if (${flags.at(`${FIRST}u`)} == 0.0) { all += ${sum.at('i')}; }
  ${sum.set('i', 'all')}
  if (${flags.at(`${FIRST + 1}u`)} != 0.0) { ${value.set('i', by ? `all / ${k.bind(by).at('0u')}` : 'all')} }`;
    return { body, workgroup: flat.workgroup[0], grid: flat.grid };
  });
}
