import type { KernelCall, Place } from '../compile/writer.ts';
import { flatIndex, KernelText } from '../compile/writer.ts';
import { input } from '../graph/leaves.ts';
import type { Tensor } from '../graph/tensor.ts';
import { literal } from '../ops/map.ts';
import type { Slice, State, UpdateGroup } from '../state.ts';
import { accumulation } from './accumulate.ts';

/** AdamW as PyTorch writes it (Loshchilov and Hutter, 2019), or SGD with momentum. */
export type Optimiser =
  | { kind: 'adamw'; beta1: number; beta2: number; eps: number }
  | { kind: 'sgd'; momentum: number };

export const adamw: Optimiser = { kind: 'adamw', beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/** What may change from step to step without compiling anew. */
export interface Hyper {
  lr: number;
  /** Decoupled for AdamW, added to the gradient for SGD. */
  weightDecay: number;
  /** Largest global gradient norm; 0 switches clipping off. */
  clip: number;
  /** What the loss was multiplied by; gradients are divided by it. */
  lossScale: number;
  /** Updates done so far, this one included: 1, 2, … */
  step: number;
  /** Where this run stands among the parts of a step; the only one by default. */
  part?: { index: number; of: number };
}

/** Length of the vector that carries `Hyper` to the GPU. */
const HYPER = 8;
/** Summands of the gradient norm that run side by side. */
const PARTS = 1024;

export function hyperInput(): Tensor {
  return input('hyper', [HYPER]);
}

export function hyperVector(h: Hyper, o: Optimiser): Float32Array {
  const correct = o.kind === 'adamw' ? [1 - o.beta1 ** h.step, 1 - o.beta2 ** h.step] : [h.step, 0];
  const { index, of } = h.part ?? { index: 0, of: 1 };
  const flags = [index === 0, index === of - 1].map(Number);
  return Float32Array.of(h.lr, h.weightDecay, h.clip, 1 / h.lossScale, ...correct, ...flags);
}

/** Indices into the `control` output of a training program. */
export const control = { norm: 0, scale: 1, skipped: 2 } as const;

/**
 * Three dispatches behind the backward pass, whatever the number of adapters: partial sums of squares, their total
 * with the clipping scale, and the update of one flat buffer. A gradient that is not finite (found by its exponent
 * bits: WGSL lets compilers assume that NaN does not occur) skips the update and raises `skipped`. With `sums`, outputs
 * by their number of elements, a step runs in parts: gradients and these outputs are added up, and the last part updates.
 */
export function optimiserTail(state: State, optimiser: Optimiser, sums?: Readonly<Record<string, number>>) {
  const count = state.flatBytes / 4;
  const place = (key: string, elements: number): Place => ({ key, dtype: 'f32', bytes: elements * 4 });
  const places = {
    hyper: place('p:input:hyper', HYPER),
    values: place('x:values', count),
    gradients: place('x:gradients', count),
    moment1: place('x:moment1', count),
    moment2: place('x:moment2', count),
    partial: place('x:partial', PARTS),
    control: place('o:control', 4),
  };
  const partial = state.gpu.buffer(PARTS * 4, 'gradient norm');
  const whole = (buffer: GPUBuffer) => ({ buffer, offset: 0, bytes: state.flatBytes });
  const parts = sums && accumulation(state, places.hyper, sums);
  return {
    calls: [
      ...(parts?.calls ?? []),
      norm(places, count),
      total(places),
      update(places, state.groups, optimiser, Boolean(parts)),
    ],
    buffers: new Map<string, Slice>([
      ...(parts?.buffers ?? []),
      ['x:values', whole(state.values)],
      ['x:gradients', whole(state.gradients)],
      ['x:moment1', whole(state.moment1)],
      ['x:moment2', whole(state.moment2)],
      ['x:partial', { buffer: partial, offset: 0, bytes: PARTS * 4 }],
    ]),
    outputs: { control: 16 },
    owned: [partial, ...(parts?.owned ?? [])],
  };
}

type Places = Record<'hyper' | 'values' | 'gradients' | 'moment1' | 'moment2' | 'partial' | 'control', Place>;

/** One dispatch on places of the caller's naming. */
export function tailKernel(
  label: string,
  build: (k: KernelText) => { body: string; workgroup: number; grid: number[] },
): KernelCall {
  const text = new KernelText(() => {
    throw new Error('The optimiser binds places, not tensors.');
  }, null);
  const { body, workgroup, grid } = build(text);
  const { code, bindings } = text.source(body, [workgroup, 1, 1]);
  return { label, code, bindings, grid: [grid[0], grid[1] ?? 1, 1], flops: 0 };
}

function norm(p: Places, count: number): KernelCall {
  return tailKernel('gradientNorm', (k) => {
    const g = k.bind(p.gradients);
    const out = k.bind(p.partial, { writes: true });
    const body = `  let t = gid.x;
  var sum = 0.0;
  for (var i = t; i < ${count}u; i += ${PARTS}u) { let g = ${g.at('i')}; sum += g * g; }
  ${out.set('t', 'sum')}`;
    return { body, workgroup: 64, grid: [PARTS / 64] };
  });
}

function total(p: Places): KernelCall {
  return tailKernel('clip', (k) => {
    const [hyper, partial, out] = [k.bind(p.hyper), k.bind(p.partial), k.bind(p.control, { writes: true })];
    const body = `  if (gid.x > 0u) { return; }
  var sum = 0.0;
  for (var i = 0u; i < ${PARTS}u; i++) { sum += ${partial.at('i')}; }
  let unscale = ${hyper.at('3u')};
  let clip = ${hyper.at('2u')};
  let finite = (bitcast<u32>(sum) & 0x7f800000u) != 0x7f800000u;
  let norm = sqrt(sum) * unscale;
  var scale = unscale;
  // PyTorch's clip_grad_norm_ adds 1e-6 to the norm.
  if (clip > 0.0) { scale *= min(1.0, clip / (norm + 1e-6)); }
  ${out.set('0u', 'select(0.0, norm, finite)')}
  ${out.set('1u', 'select(0.0, scale, finite)')}
  ${out.set('2u', 'select(1.0, 0.0, finite)')}`;
    return { body, workgroup: 1, grid: [1] };
  });
}

function update(p: Places, groups: readonly UpdateGroup[], o: Optimiser, inParts: boolean): KernelCall {
  return tailKernel(o.kind, (k) => {
    const flat = flatIndex(groups.at(-1)?.to ?? 0);
    const [hyper, ctl, g] = [k.bind(p.hyper), k.bind(p.control), k.bind(p.gradients)];
    const [w, m, v] = [p.values, p.moment1, p.moment2].map((x) => k.bind(x, { writes: true }));
    const head = `${flat.head}
  if (${ctl.at('2u')} > 0.5${inParts ? ` || ${hyper.at('7u')} == 0.0` : ''}) { return; }
  var lr = ${hyper.at('0u')};
  var decay = ${hyper.at('1u')};
${groups.map((group) => ruleText(group, groups.length > 1, g.at('i'))).join('')}  let g = ${g.at('i')} * ${ctl.at('1u')};`;
    const adam = (a: Extract<Optimiser, { kind: 'adamw' }>) => `
  let m = ${a.beta1} * ${m.at('i')} + ${1 - a.beta1} * g;
  let v = ${a.beta2} * ${v.at('i')} + ${1 - a.beta2} * g * g;
  ${m.set('i', 'm')} ${v.set('i', 'v')}
  let root = sqrt(v) / sqrt(${hyper.at('5u')}) + ${a.eps};
  ${w.set('i', `${w.at('i')} * (1.0 - lr * decay) - lr / ${hyper.at('4u')} * m / root`)}`;
    const sgd = (s: Extract<Optimiser, { kind: 'sgd' }>) => `
  let m = ${s.momentum} * ${m.at('i')} + g + decay * ${w.at('i')};
  ${m.set('i', 'm')} ${v.set('i', '0.0')}
  ${w.set('i', `${w.at('i')} - lr * m`)}`;
    return {
      body: head + (o.kind === 'adamw' ? adam(o) : sgd(o)),
      workgroup: flat.workgroup[0],
      grid: flat.grid,
    };
  });
}

/** What a group changes about an element's update; nothing for the plain rule. */
function ruleText({ from, to, rate, decay, sparse }: UpdateGroup, several: boolean, g: string): string {
  const lines = [
    ...(rate === 1 ? [] : [`lr *= ${literal(rate)};`]),
    ...(decay ? [] : ['decay = 0.0;']),
    ...(sparse ? [`if (${g} == 0.0) { return; }`] : []),
  ];
  if (!lines.length) return '';
  const body = lines.join(' ');
  return several ? `  if (i >= ${from}u && i < ${to}u) { ${body} }\n` : `  ${body}\n`;
}
