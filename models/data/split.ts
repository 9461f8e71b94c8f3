import type { LabelledFiles, Sample } from './folder.ts';
import { hash32, hashText } from './hash.ts';
import type { Split } from './tables.ts';

/** How samples are divided. */
export interface SplitSettings {
  /** Fractions of the samples for which no split was given, 0 to below 1. */
  readonly val: number;
  readonly test: number;
  readonly seed: number;
  /** True: a split that folders or tables name is kept. */
  readonly fromFolders: boolean;
}

export const defaultSplit: SplitSettings = { val: 0.15, test: 0.15, seed: 1, fromFolders: true };

/** Positions in the sample list, each list in the list's order; samples without label are in none. */
export interface Division {
  readonly train: number[];
  readonly val: number[];
  readonly test: number[];
  readonly warnings: string[];
}

/**
 * Divides samples class by class. A sample's draw depends on seed and path alone, so adding samples moves few of the
 * others. Where any sample was given to `val` (or `test`), no more are drawn for it. At least one sample of
 * each class stays in train wherever the folders left a choice.
 */
export function divide(files: Pick<LabelledFiles, 'classes' | 'samples'>, settings: SplitSettings): Division {
  const { classes, samples } = files;
  const given = (sample: Sample): Split | undefined => (settings.fromFolders ? sample.split : undefined);
  const has = (split: Split) => samples.some((sample) => sample.label >= 0 && given(sample) === split);
  const valFraction = has('val') ? 0 : settings.val;
  const testFraction = has('test') ? 0 : settings.test;
  const assigned: (Split | undefined)[] = samples.map((sample) =>
    sample.label < 0 ? undefined : given(sample),
  );
  const warnings: string[] = [];
  classes.forEach((name, label) => {
    const members = samples.flatMap((sample, i) => (sample.label === label ? [i] : []));
    // What folders call train may still give its share to a validation split that they do not have.
    const free = members.filter((i) => assigned[i] === undefined || assigned[i] === 'train');
    const drawn = shuffled(free, samples, settings.seed);
    const { val, test } = shares(free.length, valFraction, testFraction);
    drawn.forEach((i, rank) => {
      assigned[i] = rank < test ? 'test' : rank < test + val ? 'val' : 'train';
    });
    const counts = (split: Split) => members.filter((i) => assigned[i] === split).length;
    warnings.push(...warn(name, counts('train'), counts('val'), settings.val > 0 || has('val')));
  });
  const positions = (split: Split) => assigned.flatMap((s, i) => (s === split ? [i] : []));
  return { train: positions('train'), val: positions('val'), test: positions('test'), warnings };
}

function shuffled(positions: number[], samples: readonly Sample[], seed: number): number[] {
  const key = new Map(positions.map((i) => [i, hash32(seed, hashText(samples[i].path))]));
  return [...positions].sort((a, b) => key.get(a)! - key.get(b)! || a - b);
}

/** Rounded shares of n that leave at least one; validation is served before test when there is too little. */
function shares(n: number, valFraction: number, testFraction: number): { val: number; test: number } {
  const wish = (fraction: number) => (fraction > 0 && n > 1 ? Math.max(1, Math.round(n * fraction)) : 0);
  const val = Math.min(wish(valFraction), Math.max(0, n - 1));
  const test = Math.min(wish(testFraction), Math.max(0, n - 1 - val));
  return { val, test };
}

function warn(name: string, train: number, val: number, wantsVal: boolean): string[] {
  if (train === 0) return [`"${name}" has no picture to train on; add some, or drop the class.`];
  if (wantsVal && val === 0)
    return [`"${name}" has no picture for validation, so its accuracy cannot be known; add some.`];
  return train < 5
    ? [
        `"${name}" has only ${train} ${train === 1 ? 'picture' : 'pictures'} to train on; 20 or more are better.`,
      ]
    : [];
}
