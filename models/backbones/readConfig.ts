import { gelu, mul, relu, relu6, sigmoid, silu, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { ConfigError } from './backbone.ts';

/** A finite number under `key`; `fallback` where it is absent. Throws `ConfigError` for anything else. */
export function readNumber(config: JsonObject, key: string, fallback: number): number {
  const value = config[key] ?? fallback;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new ConfigError(`config.json has ${key} = ${JSON.stringify(value)}; a number is needed there.`);
}

export function readBoolean(config: JsonObject, key: string, fallback: boolean): boolean {
  const value = config[key] ?? fallback;
  if (typeof value === 'boolean') return value;
  throw new ConfigError(`config.json has ${key} = ${JSON.stringify(value)}; true or false is needed there.`);
}

/** A pair [height, width], given as such or as one number for both. */
export function readPair(config: JsonObject, key: string, fallback: number): [number, number] {
  const value = config[key];
  if (!Array.isArray(value)) {
    const side = readNumber(config, key, fallback);
    return [side, side];
  }
  if (value.length === 2 && value.every((n) => typeof n === 'number')) return [value[0], value[1]];
  throw new ConfigError(
    `config.json has ${key} = ${JSON.stringify(value)}; a number or a pair is needed there.`,
  );
}

/** A list of numbers under `key`; `fallback` where it is absent. Throws `ConfigError` for anything else. */
export function readNumbers(config: JsonObject, key: string, fallback: readonly number[]): number[] {
  const value = config[key] ?? fallback;
  if (Array.isArray(value) && value.every((n) => typeof n === 'number' && Number.isFinite(n)))
    return [...value];
  throw new ConfigError(
    `config.json has ${key} = ${JSON.stringify(value)}; a list of numbers is needed there.`,
  );
}

/** The object under `key`, empty where it is absent. Throws `ConfigError` for anything else. */
export function readObject(config: JsonObject, key: string): JsonObject {
  const value = config[key] ?? {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as JsonObject;
  throw new ConfigError(`config.json has ${key} = ${JSON.stringify(value)}; an object is needed there.`);
}

/** Throws `ConfigError` unless the option has the one value this architecture's file serves. */
export function requireOption(config: JsonObject, key: string, value: unknown): void {
  if (key in config && config[key] !== value)
    throw new ConfigError(
      `config.json has ${key} = ${JSON.stringify(config[key])}; only ${JSON.stringify(value)} is supported.`,
    );
}

export type Activation = (x: Tensor) => Tensor;

const activations = new Map<string, Activation>([
  ['gelu', (x) => gelu(x)],
  ['gelu_new', (x) => gelu(x, 'tanh')],
  ['gelu_pytorch_tanh', (x) => gelu(x, 'tanh')],
  ['quick_gelu', (x) => mul(x, sigmoid(mul(x, 1.702)))],
  ['relu', relu],
  ['relu6', relu6],
  ['silu', silu],
  ['swish', silu],
]);

/** The activation that transformers calls by the name under `key`. */
export function readActivation(config: JsonObject, key: string, fallback: string): Activation {
  const name = config[key] ?? fallback;
  const activation = activations.get(name as string);
  if (activation) return activation;
  throw new ConfigError(
    `config.json has ${key} = ${JSON.stringify(name)}; supported are ${[...activations.keys()].join(', ')}.`,
  );
}
