import { ConfigError } from '../backbones/backbone.ts';
import { readNumber } from '../backbones/readConfig.ts';
import type { JsonObject } from '../checkpoints/folder.ts';

/** Throws `ConfigError` unless every option is absent, null, or one of the values allowed for it. */
export function requireOptions(
  config: JsonObject,
  allowed: Readonly<Record<string, readonly unknown[]>>,
): void {
  for (const [key, values] of Object.entries(allowed)) {
    const found = config[key] ?? null;
    if (found !== null && !values.includes(found))
      throw new ConfigError(
        `config.json has ${key} = ${JSON.stringify(found)}; ${
          values.length
            ? `supported are ${values.map((v) => JSON.stringify(v)).join(', ')}`
            : 'it is not supported'
        }.`,
      );
  }
}

/** A list of names under `key`, each of the allowed ones. */
export function readNames(
  config: JsonObject,
  key: string,
  fallback: readonly string[],
  allowed: readonly string[],
): string[] {
  const value = config[key] ?? fallback;
  if (!Array.isArray(value) || !value.every((v) => typeof v === 'string'))
    throw new ConfigError(
      `config.json has ${key} = ${JSON.stringify(value)}; a list of names is needed there.`,
    );
  const other = value.find((v) => !allowed.includes(v));
  if (other !== undefined)
    throw new ConfigError(`config.json has '${other}' among ${key}; supported are ${allowed.join(', ')}.`);
  return [...value];
}

/** A number for each of `count` blocks, given as a list or as one number for all. */
export function readPerBlock(config: JsonObject, key: string, fallback: number, count: number): number[] {
  const value = config[key];
  if (!Array.isArray(value)) return Array(count).fill(readNumber(config, key, fallback));
  if (value.length === count && value.every((n) => typeof n === 'number')) return [...value];
  throw new ConfigError(
    `config.json has ${key} = ${JSON.stringify(value)}; a number, or one for each of ${count} blocks, is needed there.`,
  );
}

/** A number, or `fallback` where the option is absent or null, as diffusers writes what is not set. */
export const readOptional = (config: JsonObject, key: string, fallback: number): number =>
  config[key] === null ? fallback : readNumber(config, key, fallback);

/** A side [height, width] of the samples: a number for both, or a pair. */
export function readSides(config: JsonObject, key: string, fallback: number): [number, number] {
  const value = config[key] ?? fallback;
  if (Array.isArray(value) && value.length === 2 && value.every((n) => typeof n === 'number'))
    return [value[0], value[1]];
  const side = readNumber(config, key, fallback);
  return [side, side];
}
