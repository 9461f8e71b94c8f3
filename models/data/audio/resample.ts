/** Zero crossings of the sinc on either side, in samples of the lower rate. */
const REACH = 32;
/** Share of the lower rate's band that passes whole; the rest is the slope. */
const ROLLOFF = 0.95;
/** Kaiser's window: side lobes some 90 dB down. */
const BETA = 9;
/** More phases than this are not kept but computed as they come. */
const MAX_PHASES = 4096;

/**
 * A sound at another rate by a windowed sinc (Smith, Digital Audio Resampling): ceil(n to / from) samples. Sample i of
 * the result lies at i / to seconds, as sample i of the input does at i / from. Plain double arithmetic in a fixed
 * order: the same bits in the page and under Node.
 */
export function resample(samples: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return samples;
  const shared = gcd(from, to);
  const [down, up] = [from / shared, to / shared];
  // Crossings are those of the lower rate: that of the input, or where it shrinks that of the result.
  const scale = Math.min(1, to / from) * ROLLOFF;
  const reach = Math.ceil(REACH / scale);
  const kernel = (phase: number) => kernelAt(phase / up, scale, reach);
  const kernels: Float64Array[] = [];
  const result = new Float32Array(Math.ceil((samples.length * up) / down));
  for (let i = 0; i < result.length; i++) {
    const whole = Math.floor((i * down) / up);
    const phase = (i * down) % up;
    let weights = kernels[phase];
    if (!weights) {
      weights = kernel(phase);
      if (up <= MAX_PHASES) kernels[phase] = weights;
    }
    const first = whole - reach + 1;
    let sum = 0;
    const end = Math.min(weights.length, samples.length - first);
    for (let j = Math.max(0, -first); j < end; j++) sum += weights[j] * samples[first + j];
    result[i] = sum;
  }
  return result;
}

/** Weights of the 2 reach inputs around a place `fraction` of a sample behind the `reach`-th, of sum 1. */
function kernelAt(fraction: number, scale: number, reach: number): Float64Array {
  const weights = new Float64Array(2 * reach);
  let sum = 0;
  for (let j = 0; j < weights.length; j++) {
    const distance = j - (reach - 1) - fraction;
    const x = distance * scale * Math.PI;
    const edge = distance / reach;
    const window = Math.abs(edge) >= 1 ? 0 : bessel(BETA * Math.sqrt(1 - edge * edge));
    weights[j] = (x === 0 ? 1 : Math.sin(x) / x) * window;
    sum += weights[j];
  }
  return weights.map((w) => w / sum);
}

/** The modified Bessel function I0, by its series. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
