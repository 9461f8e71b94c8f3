import { constant, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { ConfigError } from './backbone.ts';
import { readBoolean, readNumber } from './readConfig.ts';

/** Rotary positions: the angle that each pair of a head turns by from one token to the next. */
export interface Rope {
  /** Elements of a head. */
  head: number;
  /** Angles of the head's pairs, f32. */
  frequencies: Float32Array;
  /** Multiplies cosines and sines. */
  strength: number;
}

type Scaling = (
  rope: { plain: Float32Array; base: number; head: number },
  config: JsonObject,
) => Omit<Rope, 'head'>;

/** Ways of stretching positions by their names in transformers. */
const scalings: Readonly<Record<string, Scaling>> = {
  default: ({ plain }) => ({ frequencies: plain, strength: 1 }),
  linear: ({ plain }, config) => {
    const factor = readNumber(config, 'factor', Number.NaN);
    return { frequencies: plain.map((f) => f / factor), strength: 1 };
  },
  // Stretches only beyond the length that the model was made for, which is the most that is read here.
  dynamic: ({ plain }) => ({ frequencies: plain, strength: 1 }),
  llama3,
  yarn,
};

/** Llama 3.1: slow pairs are divided by the factor, fast ones left, and those between mixed. */
function llama3({ plain }: { plain: Float32Array }, config: JsonObject) {
  const [factor, low, high, length] = [
    'factor',
    'low_freq_factor',
    'high_freq_factor',
    'original_max_position_embeddings',
  ].map((key) => readNumber(config, key, Number.NaN));
  const frequencies = plain.map((f) => {
    const wave = (2 * Math.PI) / f;
    if (wave > length / low) return f / factor;
    if (wave < length / high) return f;
    const smooth = (length / wave - low) / (high - low);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
  return { frequencies, strength: 1 };
}

/** YaRN (Peng et al., 2023, arxiv.org/abs/2309.00071). */
function yarn(
  { plain, base, head }: { plain: Float32Array; base: number; head: number },
  config: JsonObject,
) {
  const factor = readNumber(config, 'factor', Number.NaN);
  const length = readNumber(config, 'original_max_position_embeddings', Number.NaN);
  const place = (turns: number) => (head * Math.log(length / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const whole = readBoolean(config, 'truncate', true);
  const [fast, slow] = [
    place(readNumber(config, 'beta_fast', 32)),
    place(readNumber(config, 'beta_slow', 1)),
  ];
  const low = Math.max(whole ? Math.floor(fast) : fast, 0);
  const above = Math.min(whole ? Math.ceil(slow) : slow, head - 1);
  // Where both ends meet, the ramp is a step.
  const high = above === low ? above + 0.001 : above;
  const frequencies = plain.map((f, i) => {
    const stretched = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (f / factor) * stretched + f * (1 - stretched);
  });
  const magnitude = (by: number) => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
  const { mscale, mscale_all_dim: all } = config;
  const usual =
    typeof mscale === 'number' && typeof all === 'number' && mscale && all
      ? magnitude(mscale) / magnitude(all)
      : magnitude(1);
  return { frequencies, strength: readNumber(config, 'attention_factor', usual) };
}

/**
 * Rotary positions of a configuration, from `rope_parameters` (transformers 5) or `rope_scaling` and `rope_theta`
 * (transformers 4). Throws `ConfigError` naming a kind that is not served.
 */
export function readRope(config: JsonObject, head: number): Rope {
  if (head % 2)
    throw new ConfigError(`Heads of ${head} elements have no pairs to turn; an even width is needed.`);
  const given = (config.rope_parameters ?? config.rope_scaling ?? {}) as JsonObject;
  const kind = String(given.rope_type ?? given.type ?? 'default');
  const scaling = Object.hasOwn(scalings, kind) ? scalings[kind] : undefined;
  if (!scaling)
    throw new ConfigError(
      `config.json has positions of the kind '${kind}'; supported are ${Object.keys(scalings).join(', ')}.`,
    );
  const part = readNumber(given, 'partial_rotary_factor', readNumber(config, 'partial_rotary_factor', 1));
  if (part !== 1)
    throw new ConfigError(
      `config.json has partial_rotary_factor = ${part}; only whole heads are turned here.`,
    );
  const base = readNumber(given, 'rope_theta', readNumber(config, 'rope_theta', 10000));
  const plain = Float32Array.from({ length: head / 2 }, (_, i) => 1 / base ** ((2 * i) / head));
  const whole: JsonObject = {
    ...given,
    original_max_position_embeddings:
      given.original_max_position_embeddings ??
      config.original_max_position_embeddings ??
      config.max_position_embeddings,
  };
  return { head, ...scaling({ plain, base, head }, whole) };
}

/** Cosines and sines of the first `count` positions as `rotary` reads them: [count, head]. */
export function ropeTable({ head, frequencies, strength }: Rope, count: number): Tensor {
  const half = head / 2;
  const data = Float32Array.from({ length: count * head }, (_, i) => {
    const [position, j] = [Math.floor(i / head), i % head];
    // Rounded as f32 before the cosine is taken, as in PyTorch: far from the start that shows.
    const angle = Math.fround(position * frequencies[j % half]);
    return Math.fround(j < half ? Math.cos(angle) : Math.sin(angle)) * strength;
  });
  return constant(data, [count, head]);
}
