import type * as P from '../../workers/protocol.ts';
import { targeted } from '../text/targets.ts';
import { backbones } from './fakeCatalogue.ts';
import { wilson } from './fakeData.ts';
import { picture, random } from './fakePictures.ts';
import { reachedOf } from './fakeRuns.ts';
import { wordsOf } from './fakeTexts.ts';

/** Lengthens a run's curves to `done` steps. */
export function grow(run: P.RunView, curves: P.RunCurves, done: number, total: number): void {
  const noise = random(curves.steps.length * 31 + run.id.charCodeAt(1));
  const from = curves.steps.length;
  const reached = reachedOf(run.id);
  const level = (step: number) => reached - (reached - 0.1) * Math.exp(-step / 38);
  for (let step = from + 1; step <= done; step++) {
    const accuracy = Math.min(1, Math.max(0, Math.round((level(step) + (noise() - 0.5) * 0.22) * 16) / 16));
    curves.steps.push({
      step,
      loss: 2.3 * Math.exp(-step / 55) + 0.24 + (noise() - 0.5) * 0.3,
      accuracy,
      lr: 0.002 * 0.5 * (1 + Math.cos((Math.PI * step) / total)),
      gradNorm: 0.8 + noise(),
      ms: 118 + noise() * 6,
    });
    if (step % 20 === 0) {
      const val = level(step) - 0.015 + (noise() - 0.5) * 0.03;
      curves.evals.push({ step, split: 'val', loss: 2.3 * Math.exp(-step / 50) + 0.3, accuracy: val });
      if (!run.best || val > run.best.accuracy) run.best = { step, accuracy: val };
    }
  }
}

/** A report with the usual mix-ups between garments. */
export async function reportOf(run: P.RunView): Promise<P.Report> {
  const n = run.classes.length;
  const texts = run.plan.dataset === 'mail';
  const draw = random(5);
  const confusion = Array.from({ length: n }, (_, a) =>
    Array.from({ length: n }, (_, p) => (a === p ? 15 : 0)),
  );
  const pairs = [
    [6, 0],
    [6, 2],
    [2, 4],
    [4, 2],
    [0, 6],
    [3, 0],
    [9, 7],
    [5, 7],
    [6, 4],
  ].filter((pair) => pair.every((c) => c < n));
  for (const [a, p] of pairs) {
    const k = 1 + Math.floor(draw() * 2.4);
    if (!confusion[a!]?.[p!] && confusion[a!]) {
      confusion[a!]![p!]! += k;
      confusion[a!]![a!]! -= k;
    }
  }
  const mistakes = await Promise.all(
    pairs.map(async ([actual, predicted], i) => ({
      sample: i,
      path: texts ? `questions.csv line ${i * 7 + 2}` : `${run.classes[actual!]}/${i}.png`,
      actual: actual!,
      predicted: predicted!,
      confidence: 0.97 - i * 0.05,
      image: texts ? new Blob() : await picture(actual!, 400 + i),
      words: texts ? wordsOf(run.classes[actual!]!, i) : null,
    })),
  );
  return {
    split: 'test',
    score: run.test!,
    baseScore: run.probe ?? null,
    confusion,
    mistakes,
    classes: run.classes.map((name, i) => {
      const said = confusion.reduce((sum, row) => sum + row[i]!, 0);
      const [precision, recall] = [confusion[i]![i]! / said, confusion[i]![i]! / 15];
      return { name, precision, recall, f1: (2 * precision * recall) / (precision + recall), support: 15 };
    }),
  };
}

/** An adapter that loses accuracy as it loses directions. */
export function cutOf(run: P.RunView, ranks: Record<string, number>): P.RankCut {
  const spectra = spectraOf(run);
  const square = (values: readonly number[]) => values.reduce((sum, v) => sum + v * v, 0);
  const kept = spectra.reduce(
    (sum, s) => sum + square(s.values.slice(0, ranks[s.path] ?? s.values.length)),
    0,
  );
  const energy = kept / spectra.reduce((sum, s) => sum + square(s.values), 0);
  const wide = spectra.reduce(
    (n, s) => n + (ranks[s.path] ?? s.values.length) * (s.shape[0]! + s.shape[1]!),
    0,
  );
  const n = 200;
  return {
    ranks: { ...ranks },
    split: 'test',
    score: wilson(Math.round(n * (0.83 + 0.12 * energy)), n),
    fileBytes: 60_000 + 4 * wide,
    energy,
  };
}

/** Masks after a criterion was chosen; a good one costs little. */
export function renewed(run: P.RunView, { paths, criterion, density, seed }: P.MaskRenewal): P.MaskEdited {
  const fresh = masksOf(run, { share: density / 100, seed: seed + 11, lines: criterion === 'structured' });
  const masks = masksOf(run).map((m, i) => (paths === null || paths.includes(m.path) ? fresh[i]! : m));
  return { masks, before: wilson(131, 150), after: wilson(criterion === 'random' ? 112 : 124, 150) };
}

/** One weight in fifty of each module, drawn at random, or in whole rows. */
export function masksOf(
  run: P.RunView,
  { share = 0.02, seed = 7, lines = false }: { share?: number; seed?: number; lines?: boolean } = {},
): P.MaskView[] {
  const card = backbones.find((b) => b.id === run.plan.backbone)!;
  const draw = random(seed);
  return targeted(card, run.plan.settings['target_modules'] as string[]).map((m) => {
    const [rows, columns] = [m.shape[0]!, m.shape[1]!];
    const whole = new Set(
      Array.from({ length: Math.max(1, Math.round(rows * share)) }, () => Math.floor(draw() * rows)),
    );
    const marked = Array.from({ length: rows * columns }, (_, i) => i).filter((i) =>
      lines ? whole.has(Math.floor(i / columns)) : draw() < share,
    );
    return { path: m.path, rows, columns, indices: Uint32Array.from(marked) };
  });
}

/** Spectra that fall off faster in some modules than in others, and grow with the steps. */
export function spectraOf(run: P.RunView): P.Spectrum[] {
  const card = backbones.find((b) => b.id === run.plan.backbone)!;
  const grown = 1 - Math.exp(-(run.latest?.step ?? 0) / 90);
  return targeted(card, run.plan.settings['target_modules'] as string[]).map((m, i) => ({
    path: m.path,
    shape: m.shape,
    values: Array.from(
      { length: Number(run.plan.settings['r']) },
      (_, k) => grown * (0.4 + 0.05 * i) * Math.exp(-k / (1.2 + (i % 7) * 0.6)),
    ),
  }));
}

/** A step of about 84 ms, most of it in products. */
export function profileOf(run: P.RunView): P.Profile {
  const kernels: [label: string, count: number, ms: number, gflop: number, mb: number][] = [
    ['matmul+bias+gelu', 12, 21.4, 38.2, 310],
    ['matmul+bias+residual', 24, 18.9, 31.6, 402],
    ['attentionBackward', 12, 14.2, 11.9, 188],
    ['matmul', 36, 12.7, 19.4, 275],
    ['attention', 12, 6.1, 5.6, 121],
    ['layerNorm', 25, 4.4, 0, 610],
    ['layerNormBackward', 24, 3.1, 0, 590],
    ['copy', 3, 1.2, 0, 9],
    ['gradientNorm', 1, 0.3, 0, 1.2],
    ['adamw', 1, 0.2, 0, 4.8],
    ['clip', 1, 0.1, 0, 0.004],
  ];
  return {
    step: run.latest?.step ?? 0,
    productRate: 2.6e12,
    kernels: kernels.map(([label, count, ms, gflop, mb]) => ({
      label,
      count,
      ms,
      flops: gflop * 1e9,
      bytes: mb * 1e6,
    })),
  };
}

/** Probabilities about the fourth class. */
export function sharesOf(classes: string[], sharpness: number): number[] {
  const raw = classes.map((_, i) => Math.exp(-((i - 3) ** 2) * sharpness));
  const total = raw.reduce((a, b) => a + b, 0);
  return raw.map((v) => v / total);
}
