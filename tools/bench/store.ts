import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ContestResult } from './contest.ts';
import type { EpochsResult } from './epochs.ts';
import type { GpuResult } from './gpu/result.ts';
import type { GrowthResult } from './growth.ts';
import type { LiteResult } from './lite.ts';
import type { PhotosResult } from './photos.ts';

/** A measurement with where and how it was taken. */
export interface Taken<T> {
  date: string;
  cpu: string;
  cores: number;
  command: string;
  result: T;
}

/** What docs/benchmarks.md is written from: the newest measurement of each kind. */
export interface Benchmarks {
  contests: Record<string, Taken<ContestResult>>;
  epochs: Record<string, Taken<EpochsResult>>;
  lite?: Taken<LiteResult>;
  photos?: Taken<PhotosResult>;
  growth?: Taken<GrowthResult>;
  gpu?: Taken<GpuResult>;
}

const here = (name: string) => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
export const jsonFile = here('benchmarks.json');
export const pageFile = here('benchmarks.md');
export const growthFile = here('benchmarks-growth.svg');

export function readBenchmarks(): Benchmarks {
  return existsSync(jsonFile)
    ? (JSON.parse(readFileSync(jsonFile, 'utf8')) as Benchmarks)
    : { contests: {}, epochs: {} };
}

export function writeBenchmarks(all: Benchmarks): void {
  writeFileSync(jsonFile, `${JSON.stringify(all, null, 1)}\n`);
}

export function taken<T>(result: T, argv: readonly string[]): Taken<T> {
  const asked = argv.filter((a) => a !== '--write').join(' ');
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0].model.trim(),
    cores: cpus().length,
    command: `npm run bench${asked ? ` -- ${asked}` : ''}`,
    result,
  };
}
