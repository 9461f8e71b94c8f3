import { type Access, flatIndex, type KernelWriter } from '../compile/writer.ts';
import { inputPlace, overOutputs, type Window } from './window.ts';

/** Output places of a row that one invocation computes, so that they share what they read. */
const RUN = 8;

const range = (n: number) => [...Array(n).keys()];

/** Reads of channels four at a time where their number allows. */
function lanes(channels: number) {
  const vec = channels % 4 === 0;
  return {
    vec,
    type: vec ? 'vec4f' : 'f32',
    /** Channels, or channel groups, of a place. */
    n: vec ? channels / 4 : channels,
    read: (x: Access, index: string) => (vec ? x.at4(index) : x.at(index)),
  };
}

/** Statements that hand the value(s) `v` of element (group) `index` on. */
const handOn = (vec: boolean, index: string, finish: (index: string, value: string) => string) =>
  vec
    ? range(4)
        .map((j) => finish(`4u * (${index}) + ${j}u`, `v[${j}]`))
        .join(' ')
    : finish(index, 'v');

/**
 * Depthwise convolution of x [B, H, W, C] with weights [kh, kw, 1, C]: y [B, OH, OW, C]. An invocation computes up to
 * eight neighbouring places of a row for four channels; each weight and each place of x is read once for all of them.
 * `flip` turns the kernel round, which makes it the input gradient of a convolution of stride 1.
 *
 * Grid: channels by fours × runs × rows × batch, flat. Memory: registers only.
 */
export function depthwiseKernel(w: KernelWriter, a: Window, flip: boolean): void {
  const { vec, type, n, read } = lanes(a.c);
  const run = Math.min(RUN, a.ow);
  const runs = Math.ceil(a.ow / run);
  const offset = (t: number, kx: number) => t * a.sw + kx * a.dw;
  // A run that is the whole row starts at the same place each time, so what lies outside is known here.
  const inside = (o: number) => runs > 1 || (o >= a.left && o < a.left + a.w);
  const offsets = new Set(
    range(run)
      .flatMap((t) => range(a.kw).map((kx) => offset(t, kx)))
      .filter(inside),
  );
  const flat = flatIndex(a.batch * a.oh * runs * n);
  w.kernel('run', (k) => {
    const [x, weight] = w.inputs.map((t) => k.tensor(t, { vec }));
    const kernelRow = flip ? `(${a.kh - 1}u - ky)` : 'ky';
    const body = `${flat.head}
  let c = i % ${n}u;
  let ox = i / ${n}u % ${runs}u * ${run}u;
  let oy = i / ${n * runs}u % ${a.oh}u;
  let b = i / ${n * runs * a.oh}u;
  let left = ox * ${a.sw}u - ${a.left}u;
  ${range(run)
    .map((t) => `var s${t} = ${type}();`)
    .join(' ')}
  for (var ky = 0u; ky < ${a.kh}u; ky++) {
    // Above the input the difference wraps to a large u32, so one comparison checks both ends; so it does to its left.
    let y = oy * ${a.sh}u + ky * ${a.dh}u - ${a.top}u;
    if (y >= ${a.h}u) { continue; }
    let row = (b * ${a.h}u + y) * ${a.w}u;
${[...offsets]
  .map((o) => {
    if (runs === 1) return `    let x${o} = ${read(x, `(row + ${o - a.left}u) * ${n}u + c`)};`;
    const at = `row + min(left + ${o}u, ${a.w - 1}u)`;
    return `    let x${o} = select(${type}(), ${read(x, `(${at}) * ${n}u + c`)}, left + ${o}u < ${a.w}u);`;
  })
  .join('\n')}
${range(a.kw)
  .map((kx) => {
    const at = `(${kernelRow} * ${a.kw}u + ${flip ? a.kw - 1 - kx : kx}u) * ${n}u + c`;
    const sums = range(run)
      .filter((t) => inside(offset(t, kx)))
      .map((t) => `s${t} += w${kx} * x${offset(t, kx)};`);
    return `    let w${kx} = ${read(weight, at)}; ${sums.join(' ')}`;
  })
  .join('\n')}
  }
  var sums = array<${type}, ${run}>(${range(run)
    .map((t) => `s${t}`)
    .join(', ')});
  for (var t = 0u; t < min(${run}u, ${a.ow}u - ox); t++) {
    let v = sums[t];
    let place = ((b * ${a.oh}u + oy) * ${a.ow}u + ox + t) * ${n}u + c;
    ${handOn(vec, 'place', (i, v) => k.finish(i, v))}
  }`;
    return { body, workgroup: flat.workgroup, grid: flat.grid };
  });
}

/** Input gradient for any stride, from dy [B, OH, OW, C] and weights [kh, kw, 1, C]: dx [B, H, W, C]. Grid: flat. */
export function depthwiseInputGradient(w: KernelWriter, a: Window): void {
  const { vec, type, n, read } = lanes(a.c);
  const flat = flatIndex(a.batch * a.h * a.w * n);
  w.kernel('places', (k) => {
    const [dy, weight] = w.inputs.map((t) => k.tensor(t, { vec }));
    const from = `((b * ${a.oh}u + oy) * ${a.ow}u + ox) * ${n}u + c`;
    const body = `${flat.head}
${inputPlace({ ...a, c: n })}
  var v = ${type}();
${overOutputs(a, `      v += ${read(dy, from)} * ${read(weight, `(ky * ${a.kw}u + kx) * ${n}u + c`)};`)}
  ${handOn(vec, 'i', (i, v) => k.finish(i, v))}`;
    return { body, workgroup: flat.workgroup, grid: flat.grid };
  });
}
