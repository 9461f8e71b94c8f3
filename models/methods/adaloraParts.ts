import type { ModuleCard, Settings } from '../describe.ts';
import { factorShapes } from './loraParts.ts';
import { budgetAt, type Importance, keptOf, tripletScores, updateImportance } from './math/allocation.ts';
import type { AddedBuffer, LiveTensors, Refresh } from './method.ts';

/** A module's triplets: rows of A, values of E, columns of B, named as PEFT has them; and which of them are kept. */
export const tripletNames = (path: string) => ({
  a: `${path}.lora_A`,
  e: `${path}.lora_E`,
  b: `${path}.lora_B`,
  kept: `${path}.lora_kept`,
});

export function tripletShapes(m: ModuleCard, r: number) {
  return { ...factorShapes(m, r), e: [r, 1], kept: [r, 1] };
}

const importanceNames = (name: string) => ({
  sensitivity: `${name}.sensitivity`,
  uncertainty: `${name}.uncertainty`,
});

/** What the allocation remembers of a module, beside the trained tensors. */
export function allocationBuffers(m: ModuleCard, r: number): AddedBuffer[] {
  const [names, shapes] = [tripletNames(m.path), tripletShapes(m, r)];
  const of = (name: string, shape: readonly number[], value: number) => ({
    name,
    shape,
    initial: () => new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(value),
  });
  return [
    of(names.kept, shapes.kept, 1),
    ...(['a', 'e', 'b'] as const).flatMap((f) =>
      Object.values(importanceNames(names[f])).map((name) => of(name, shapes[f], 0)),
    ),
  ];
}

/** Steps at which the cutting begins and ends. */
export function phases(settings: Settings, steps: number) {
  const from = Math.round((settings.tinit as number) * steps);
  return { from, to: Math.max(from + 1, steps - Math.round((settings.tfinal as number) * steps)) };
}

/**
 * After each step up to the last cut: smooths the importance of every number, and sets the E of the triplets beyond the
 * budget to zero. They go on learning and may come back, until the last cut fixes which are kept.
 */
export function allocation(paths: readonly string[], settings: Settings): Refresh {
  /** What the step before left, so that it need not be read back. */
  let last: { step: number; importance: Map<string, Importance> } | undefined;
  const recall = async (live: LiveTensors) => {
    if (last?.step === live.step - 1) return last.importance;
    const found = new Map<string, Importance>();
    for (const path of paths) {
      const { a, e, b } = tripletNames(path);
      for (const name of [a, e, b]) {
        const names = importanceNames(name);
        found.set(name, {
          sensitivity: await live.read(names.sensitivity),
          uncertainty: await live.read(names.uncertainty),
        });
      }
    }
    return found;
  };
  return {
    due: ({ step, steps }) => step > 0 && step <= phases(settings, steps).to,
    async apply(live) {
      const { step } = live;
      const { from, to } = phases(settings, live.steps);
      const importance = await recall(live);
      const { values, gradients } = await live.trained();
      if (step < to) {
        for (const [name, own] of importance) {
          const [beta1, beta2] = [settings.beta1 as number, settings.beta2 as number];
          updateImportance(own, values.get(name)!, gradients.get(name)!, beta1, beta2);
          const names = importanceNames(name);
          live.write(names.sensitivity, own.sensitivity);
          live.write(names.uncertainty, own.uncertainty);
        }
        last = { step, importance };
      }
      const turn = step > from && step % (settings.deltaT as number) === 0;
      if (!turn && step !== to) return;
      const plan = {
        first: paths.length * (settings.init_r as number),
        last: paths.length * (settings.target_r as number),
        from,
        to,
      };
      const scores = paths.map((path) => {
        const names = tripletNames(path);
        return tripletScores(importance.get(names.a)!, importance.get(names.e)!, importance.get(names.b)!);
      });
      keptOf(scores, budgetAt(step, plan)).forEach((kept, i) => {
        const names = tripletNames(paths[i]);
        live.write(
          names.e,
          values.get(names.e)!.map((e, k) => (kept[k] ? e : 0)),
        );
        if (step === to) live.write(names.kept, Float32Array.from(kept, Number));
      });
    },
  };
}
