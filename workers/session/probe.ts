import { argmax, crossEntropyOf } from './metrics.ts';

/** A linear head: logits = W z + b on features standardised by `mean` and `deviation`. */
export interface Probe {
  classes: number;
  mean: Float64Array;
  deviation: Float64Array;
  weight: Float64Array;
  bias: Float64Array;
}

export interface LabelledFeatures {
  features: readonly Float32Array[];
  labels: readonly number[];
}

/** Penalties tried; the one that validates best is kept. */
const PENALTIES = [1e-4, 1e-3, 1e-2, 1e-1];
const STEPS = 200;

/**
 * Logistic regression on frozen features, run to convergence for each of four penalties and chosen on the
 * validation part (on training loss alone where there is none): the tuned baseline that an adapter must beat.
 */
export function fitProbe(train: LabelledFeatures, val: LabelledFeatures, classes: number): Probe {
  const { mean, deviation } = moments(train.features);
  const z = train.features.map((f) => standardise(f, mean, deviation));
  let best: { probe: Probe; loss: number } | undefined;
  for (const penalty of PENALTIES) {
    const probe = { classes, mean, deviation, ...descend(z, train.labels, classes, penalty) };
    const judged = val.features.length ? val : train;
    const loss = judged.features.reduce(
      (n, f, i) => n + crossEntropyOf(probeLogits(probe, f), judged.labels[i]),
      0,
    );
    if (!best || loss < best.loss) best = { probe, loss };
  }
  return best!.probe;
}

export function probeLogits(p: Probe, features: Float32Array): number[] {
  const z = standardise(features, p.mean, p.deviation);
  return Array.from({ length: p.classes }, (_, c) => {
    let sum = p.bias[c];
    for (let i = 0; i < z.length; i++) sum += p.weight[c * z.length + i] * z[i];
    return sum;
  });
}

export function probeHits(p: Probe, set: LabelledFeatures): number {
  return set.features.reduce((n, f, i) => n + (argmax(probeLogits(p, f)) === set.labels[i] ? 1 : 0), 0);
}

function moments(features: readonly Float32Array[]) {
  const width = features[0].length;
  const mean = new Float64Array(width);
  const deviation = new Float64Array(width);
  for (const f of features) for (let i = 0; i < width; i++) mean[i] += f[i] / features.length;
  for (const f of features)
    for (let i = 0; i < width; i++) deviation[i] += (f[i] - mean[i]) ** 2 / features.length;
  for (let i = 0; i < width; i++) deviation[i] = Math.sqrt(deviation[i]) + 1e-6;
  return { mean, deviation };
}

function standardise(f: Float32Array, mean: Float64Array, deviation: Float64Array): Float32Array {
  return f.map((x, i) => (x - mean[i]) / deviation[i]);
}

/** Nesterov's accelerated gradient on the mean cross-entropy plus penalty/2 |W|², step 1/L from the features' norm. */
function descend(z: readonly Float32Array[], labels: readonly number[], classes: number, penalty: number) {
  const width = z[0].length;
  const n = z.length;
  const weight = new Float64Array(classes * width);
  const bias = new Float64Array(classes);
  const previous = { weight: weight.slice(), bias: bias.slice() };
  const largest = z.reduce(
    (m, f) =>
      Math.max(
        m,
        f.reduce((s, x) => s + x * x, 1),
      ),
    0,
  );
  // The Hessian of the softmax loss is at most half the features' second moment; its largest row bounds that.
  const rate = 1 / (0.5 * Math.min(largest, powerBound(z)) + penalty);
  for (let t = 0; t < STEPS; t++) {
    const momentum = t / (t + 3);
    const ahead = weight.map((w, i) => w + momentum * (w - previous.weight[i]));
    const aheadBias = bias.map((b, i) => b + momentum * (b - previous.bias[i]));
    const gradient = new Float64Array(classes * width);
    const gradientBias = new Float64Array(classes);
    for (let s = 0; s < n; s++)
      accumulate(z[s], labels[s], classes, ahead, aheadBias, gradient, gradientBias, n);
    previous.weight.set(weight);
    previous.bias.set(bias);
    for (let i = 0; i < weight.length; i++) weight[i] = ahead[i] - rate * (gradient[i] + penalty * ahead[i]);
    for (let c = 0; c < classes; c++) bias[c] = aheadBias[c] - rate * gradientBias[c];
  }
  return { weight, bias };
}

/** Largest eigenvalue of the features' second moment, by a few power steps, with a margin. */
function powerBound(z: readonly Float32Array[]): number {
  let v = new Float64Array(z[0].length).fill(1 / Math.sqrt(z[0].length));
  let value = 1;
  for (let t = 0; t < 12; t++) {
    const next = new Float64Array(v.length);
    for (const f of z) {
      let dot = 0;
      for (let i = 0; i < v.length; i++) dot += f[i] * v[i];
      for (let i = 0; i < v.length; i++) next[i] += (dot * f[i]) / z.length;
    }
    value = Math.hypot(...next);
    v = next.map((x) => x / value);
  }
  return 1.2 * value + 1;
}

function accumulate(
  z: Float32Array,
  label: number,
  classes: number,
  weight: Float64Array,
  bias: Float64Array,
  gradient: Float64Array,
  gradientBias: Float64Array,
  n: number,
): void {
  const width = z.length;
  const logits = new Float64Array(classes);
  for (let c = 0; c < classes; c++) {
    let sum = bias[c];
    for (let i = 0; i < width; i++) sum += weight[c * width + i] * z[i];
    logits[c] = sum;
  }
  const top = Math.max(...logits);
  let total = 0;
  for (let c = 0; c < classes; c++) total += Math.exp(logits[c] - top);
  for (let c = 0; c < classes; c++) {
    const d = (Math.exp(logits[c] - top) / total - (c === label ? 1 : 0)) / n;
    gradientBias[c] += d;
    for (let i = 0; i < width; i++) gradient[c * width + i] += d * z[i];
  }
}

/** Hits of k nearest neighbours by cosine similarity of centred features, votes weighted by similarity. */
export function neighbourHits(
  train: LabelledFeatures,
  test: LabelledFeatures,
  classes: number,
  k: number,
): number {
  const { mean } = moments(train.features);
  const unit = (f: Float32Array) => {
    const c = f.map((x, i) => x - mean[i]);
    const norm = Math.sqrt(c.reduce((n, x) => n + x * x, 0)) || 1;
    return c.map((x) => x / norm);
  };
  const known = train.features.map(unit);
  return test.features.reduce((hits, f, t) => {
    const q = unit(f);
    const near = known
      .map((u, i) => ({ label: train.labels[i], s: u.reduce((n, x, j) => n + x * q[j], 0) }))
      .sort((a, b) => b.s - a.s)
      .slice(0, k);
    const votes = new Float64Array(classes);
    for (const { label, s } of near) votes[label] += Math.exp(s / 0.1);
    return hits + (argmax(votes) === test.labels[t] ? 1 : 0);
  }, 0);
}
