import type { Settings } from '../describe.ts';
import { linearProbe } from './linearProbe.ts';
import { lora } from './lora.ts';
import { padColumns, padRows } from './loraParts.ts';
import { truncate } from './math/lowRank.ts';
import { addUpdates } from './math/sparse.ts';
import { mergedWeights } from './merge.ts';
import {
  type Attachment,
  type Base,
  type LowRankUpdate,
  type Method,
  MethodError,
  type ModelDescription,
  type ModuleUpdate,
  type Tensors,
} from './method.ts';
import { shira } from './shira.ts';
import { sparseContent } from './shiraForm.ts';

/** A trained adapter with the weight that it has in a sum. Its knobs are among the settings. */
export interface Part {
  method: Method;
  attachment: Attachment;
  settings: Settings;
  /** Of the method and the head. */
  tensors: Tensors;
  weight: number;
  /** What it is called in a refusal. */
  name: string;
}

/** An adapter in a method's own terms, without a head. */
export interface Adapter {
  method: Method;
  settings: Settings;
  tensors: Tensors;
}

/** How the sum of some adapters is kept: factors of low rank, entries of the weights, or as whole weights only. */
export type Form = 'low-rank' | 'sparse' | 'weights';

const isLowRank = ({ method }: Part) => method.toLowRank !== undefined && method.merge === undefined;
const isSparse = ({ method }: Part) => method.toSparse !== undefined;
const changesNothing = ({ attachment }: Part) => attachment.parameters.length === 0;

/** The narrowest form that holds the sum exactly. Throws `MethodError` for an adapter that is no change of weights. */
export function formOf(parts: readonly Part[]): Form {
  for (const { method, name } of parts.filter((p) => !changesNothing(p)))
    if (!method.merge && !method.toLowRank)
      throw new MethodError(
        `"${name}" cannot be added to another adapter. ${method.unmergeable ?? `${method.card.title} changes no weight.`}`,
      );
  const adding = parts.filter((p) => !changesNothing(p));
  if (adding.every(isLowRank)) return 'low-rank';
  return adding.every(isSparse) ? 'sparse' : 'weights';
}

/**
 * Σ wᵢ sᵢ Bᵢ Aᵢ of each module: the factors one beside the other, of rank r₁ + r₂ + …, exactly; or the nearest update of
 * rank `rank` (Eckart and Young, 1936), which where `wide` has as many rows as the sum before it, the others being zero.
 */
export function addLowRank(
  parts: readonly Part[],
  rank: number | null = null,
  wide = false,
): LowRankUpdate[] {
  const found = new Map<string, LowRankUpdate>();
  for (const { method, attachment, settings, tensors, weight } of parts)
    for (const update of method.toLowRank?.(attachment, settings, tensors) ?? []) {
      const own = { ...update, scale: update.scale * weight };
      const before = found.get(own.path);
      found.set(own.path, before ? beside(before, own) : beside(nothing(own), own));
    }
  return [...found.values()].map((u) => {
    const width = u.a.shape[0];
    return rank !== null && rank < width ? truncate(u, rank, wide ? width : rank) : u;
  });
}

const nothing = ({ path, a, b }: LowRankUpdate): LowRankUpdate => ({
  path,
  a: { shape: [0, ...a.shape.slice(1)], data: new Float32Array() },
  b: { shape: [b.shape[0], 0, ...b.shape.slice(2)], data: new Float32Array() },
  scale: 1,
});

/** Both updates as one of scale 1. */
function beside(first: LowRankUpdate, second: LowRankUpdate): LowRankUpdate {
  const [r, q] = [first.a.shape[0], second.a.shape[0]];
  const [out, , ...rest] = second.b.shape;
  const b = new Float32Array(out * (r + q));
  for (let row = 0; row < out; row++) {
    for (let k = 0; k < r; k++) b[row * (r + q) + k] = first.b.data[row * r + k] * first.scale;
    for (let k = 0; k < q; k++) b[row * (r + q) + r + k] = second.b.data[row * q + k] * second.scale;
  }
  const a = new Float32Array(first.a.data.length + second.a.data.length);
  a.set(first.a.data);
  a.set(second.a.data, first.a.data.length);
  return {
    path: second.path,
    a: { shape: [r + q, ...second.a.shape.slice(1)], data: a },
    b: { shape: [out, r + q, ...rest], data: b },
    scale: 1,
  };
}

/** Sums of the values at the union of the entries, module by module. */
export function addSparse(parts: readonly Part[]): ModuleUpdate[] {
  const by = new Map<string, { update: ModuleUpdate; weight: number }[]>();
  for (const { method, attachment, settings, tensors, weight } of parts)
    for (const update of method.toSparse?.(attachment, settings, tensors) ?? [])
      by.set(update.path, [...(by.get(update.path) ?? []), { update, weight }]);
  return [...by.values()].map((found) => {
    const { path, rows, columns } = found[0].update;
    const sum = addUpdates(
      found.map((f) => f.update),
      found.map((f) => f.weight),
    );
    return { path, rows, columns, ...sum };
  });
}

/** Share of all entries that some adapter changes which more than one of them changes. */
export function sharedEntries(parts: readonly Part[]): number {
  let [either, both] = [0, 0];
  const times = new Map<string, Map<number, number>>();
  for (const { method, attachment, settings, tensors } of parts)
    for (const { path, positions } of method.toSparse?.(attachment, settings, tensors) ?? []) {
      const seen = times.get(path) ?? new Map<number, number>();
      times.set(path, seen);
      for (const p of positions) seen.set(p, (seen.get(p) ?? 0) + 1);
    }
  for (const seen of times.values())
    for (const n of seen.values()) {
      either++;
      if (n > 1) both++;
    }
  return either ? both / either : 0;
}

/** W + Σ wᵢ (Wᵢ − W), where Wᵢ is what adapter i makes of the weight alone; by parameter path. */
export async function addWeights(parts: readonly Part[], base: Base): Promise<Map<string, Float32Array>> {
  const sum = new Map<string, Float32Array>();
  for (const part of parts) {
    if (changesNothing(part)) continue;
    const { method, attachment, settings, tensors, weight } = part;
    for (const [path, own] of await mergedWeights(method, attachment, settings, tensors, base)) {
      const before = await base.weight(path);
      const so = sum.get(path) ?? before.slice();
      for (let i = 0; i < so.length; i++) so[i] += weight * (own[i] - before[i]);
      sum.set(path, so);
    }
  }
  return sum;
}

/** The sum as an adapter of its own, LoRA's (see `addLowRank`) or SHiRA's. Throws `MethodError` where it is none. */
export function addAdapters(
  parts: readonly Part[],
  model: ModelDescription,
  rank: number | null = null,
  wide = false,
): Adapter {
  const form = formOf(parts);
  if (form === 'weights')
    throw new MethodError(
      `Adapters of ${[...new Set(parts.map((p) => p.method.card.title))].join(' and ')} add up to no adapter of one kind. Download the merged model instead.`,
    );
  if (form === 'sparse') {
    const content = sparseContent(addSparse(parts), 'random');
    const { settings, tensors } = shira.peft!.read(content, model);
    return { method: shira, settings, tensors };
  }
  const updates = addLowRank(parts, rank, wide);
  const widest = Math.max(1, ...updates.map((u) => u.a.shape[0]));
  if (!updates.length) return { method: linearProbe, settings: {}, tensors: new Map() };
  const { settings, tensors } = lora.fromLowRank!(
    updates.map((u) => ({ ...u, a: padRows(u.a, widest), b: padColumns(u.b, widest) })),
  );
  return { method: lora, settings, tensors };
}

/** Classes of all adapters in the order in which they are first met. */
export const allClasses = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())];

/**
 * One head for the classes of all. Of the last layer a class has the mean of the rows of the heads that know it, and
 * all other tensors are means of all heads; both are weighted by the adapters' weights, or plain where those sum to none.
 * `classes` are those of each adapter. Throws `MethodError` where heads differ in more than their classes.
 */
export function addHeads(
  parts: readonly Part[],
  classes: readonly (readonly string[])[],
  headPath: string,
  isHead: (name: string) => boolean = (name) => name.startsWith(`${headPath}.`),
): Tensors {
  const union = allClasses(classes);
  const names = [...new Set(parts.flatMap((p) => [...p.tensors.keys()].filter(isHead)))];
  return new Map(
    names.map((name) => {
      const own = parts.map((p) => p.tensors.get(name));
      const first = own.find((t) => t !== undefined)!;
      const byClass = name.startsWith(`${headPath}.`);
      const width = first.data.length / (byClass ? first.shape[0] : 1);
      if (own.some((t) => t && t.data.length / (byClass ? t.shape[0] : 1) !== width))
        throw new MethodError(
          `The heads differ in '${name}', so they make no common one. Choose adapters of one backbone.`,
        );
      const rows = byClass ? union : [''];
      const data = new Float32Array(rows.length * width);
      rows.forEach((label, row) => {
        const known = parts.flatMap(({ weight }, i) => {
          const at = byClass ? classes[i].indexOf(label) : 0;
          return own[i] && at >= 0 ? [{ weight: Math.max(0, weight), at, from: own[i].data }] : [];
        });
        const total = known.reduce((n, k) => n + k.weight, 0);
        for (const { weight, at, from } of known) {
          const share = total > 0 ? weight / total : 1 / known.length;
          for (let k = 0; k < width; k++) data[row * width + k] += share * from[at * width + k];
        }
      });
      return [name, { shape: byClass ? [union.length, ...first.shape.slice(1)] : first.shape, data }];
    }),
  );
}
