import { literal } from '../ops/map.ts';
import { nf4Values } from '../quantise.ts';

/**
 * Small WGSL functions that kernels ask for by name. A function may name others it calls; each is written once.
 */
const library: Record<string, { needs?: string[]; code: string }> = {
  half4: {
    code: 'fn half4(h: vec2u) -> vec4f { return vec4f(unpack2x16float(h.x), unpack2x16float(h.y)); }',
  },
  int8x4: {
    code: 'fn int8x4(w: u32) -> vec4f { return vec4f(bitcast<vec4i>(vec4u(w << 24u, w << 16u, w << 8u, w)) >> vec4u(24u)); }',
  },
  // The code in the lowest four bits of a word.
  nf4: {
    code: `var<private> nf4_values: array<f32, 16> = array<f32, 16>(${nf4Values.map((v) => literal(v)).join(', ')});
fn nf4(w: u32) -> f32 { return nf4_values[w & 15u]; }`,
  },
  nf4x4: {
    needs: ['nf4'],
    code: 'fn nf4x4(w: u32) -> vec4f { return vec4f(nf4(w), nf4(w >> 4u), nf4(w >> 8u), nf4(w >> 12u)); }',
  },
  // Abramowitz and Stegun, formula 7.1.26; absolute error below 1.5e-7.
  erf: {
    code: `fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - p * exp(-min(a * a, 87.0)));
}`,
  },
  gelu: { needs: ['erf'], code: 'fn gelu(x: f32) -> f32 { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }' },
  geluGrad: {
    needs: ['erf'],
    code: `fn gelu_grad(x: f32) -> f32 {
  return 0.5 * (1.0 + erf(x * 0.70710678)) + x * 0.39894228 * exp(-min(0.5 * x * x, 87.0));
}`,
  },
  // tanh through exp of a bounded argument: drivers differ on tanh of large numbers.
  tanhBounded: {
    code: `fn tanh_bounded(x: f32) -> f32 {
  let e = exp(-2.0 * min(abs(x), 20.0));
  return sign(x) * (1.0 - e) / (1.0 + e);
}`,
  },
  geluTanh: {
    needs: ['tanhBounded'],
    code: 'fn gelu_tanh(x: f32) -> f32 { return 0.5 * x * (1.0 + tanh_bounded(0.79788456 * (x + 0.044715 * x * x * x))); }',
  },
  geluTanhGrad: {
    needs: ['tanhBounded'],
    code: `fn gelu_tanh_grad(x: f32) -> f32 {
  let t = tanh_bounded(0.79788456 * (x + 0.044715 * x * x * x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * 0.79788456 * (1.0 + 3.0 * 0.044715 * x * x);
}`,
  },
  sigmoid: { code: 'fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(-clamp(x, -87.0, 87.0))); }' },
  // WGSL lets sin err by 2^-11. Here: reduction by quarter turns (pi/2 in three parts, Cody and Waite) and Taylor
  // polynomials on what is left; good to 2e-7 for |x| up to some thousands. `turn` 1 makes it the cosine.
  sine: {
    code: `fn sine(x: f32, turn: i32) -> f32 {
  let n = round(x * 0.63661977);
  let r = ((x - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549789948768648e-8;
  let q = i32(n) + turn;
  let r2 = r * r;
  let s = r + r * r2 * (-0.16666667 + r2 * (8.3333333e-3 + r2 * (-1.9841270e-4 + r2 * 2.7557319e-6)));
  let c = 1.0 - 0.5 * r2 + r2 * r2 * (4.1666667e-2 + r2 * (-1.3888889e-3 + r2 * 2.4801587e-5));
  let v = select(s, c, (q & 1) == 1);
  return select(v, -v, (q & 2) == 2);
}`,
  },
  // What the 64 invocations of a workgroup hold, combined in an order that does not change. The second barrier keeps a
  // later call from writing before all have read.
  groupSum: {
    needs: ['groupParts'],
    code: `fn group_sum(v: f32, lane: u32) -> f32 {
  parts[lane] = v;
  workgroupBarrier();
  for (var s = 32u; s > 0u; s >>= 1u) {
    if (lane < s) { parts[lane] += parts[lane + s]; }
    workgroupBarrier();
  }
  let all = parts[0];
  workgroupBarrier();
  return all;
}`,
  },
  groupTop: {
    needs: ['groupParts'],
    code: `fn group_top(v: f32, lane: u32) -> f32 {
  parts[lane] = v;
  workgroupBarrier();
  for (var s = 32u; s > 0u; s >>= 1u) {
    if (lane < s) { parts[lane] = max(parts[lane], parts[lane + s]); }
    workgroupBarrier();
  }
  let top = parts[0];
  workgroupBarrier();
  return top;
}`,
  },
  groupParts: { code: 'var<workgroup> parts: array<f32, 64>;' },
  // PCG's output function on a word (O'Neill, 2014), and from it counter-based numbers: element i of site s at step t
  // under one seed draws the same number, whatever ran before.
  pcg: {
    code: `fn pcg(v: u32) -> u32 {
  let s = v * 747796405u + 2891336453u;
  let w = ((s >> ((s >> 28u) + 4u)) ^ s) * 277803737u;
  return (w >> 22u) ^ w;
}`,
  },
  stepKey: {
    needs: ['pcg'],
    code: 'fn step_key(seed: u32, step: u32) -> u32 { return pcg(step ^ pcg(seed)); }',
  },
  uniform: {
    needs: ['pcg'],
    code: `fn uniform_at(key: u32, site: u32, i: u32) -> f32 {
  return f32(pcg(i ^ pcg(site ^ key)) >> 8u) * 5.9604644775390625e-8;
}`,
  },
};

/** Source of the named functions and of those they need, each once. */
export function helperSource(names: ReadonlySet<string>): string {
  const written = new Set<string>();
  const text: string[] = [];
  const write = (name: string) => {
    if (written.has(name)) return;
    written.add(name);
    const entry = library[name];
    if (!entry) throw new Error(`There is no WGSL helper '${name}'.`);
    for (const need of entry.needs ?? []) write(need);
    text.push(entry.code);
  };
  for (const name of [...names].sort()) write(name);
  return text.length ? `${text.join('\n')}\n` : '';
}
