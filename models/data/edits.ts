import type { LabelledFiles, Sample } from './folder.ts';
import type { SplitSettings } from './split.ts';

/**
 * A change a person makes to a data set. Class indices refer to the class list as it stands when the edit is
 * applied; `sample` is a sample's `id`, which never changes.
 */
export type DataEdit =
  | { kind: 'rename-class'; index: number; name: string }
  | { kind: 'merge-classes'; indices: number[]; name: string }
  | { kind: 'drop-class'; index: number }
  | { kind: 'add-class'; name: string }
  | { kind: 'remove-sample'; sample: number }
  | { kind: 'set-label'; samples: number[]; index: number }
  | ({ kind: 'set-split' } & SplitSettings);

/** An edit that cannot be made; the message says why and what to do instead. */
export class EditError extends Error {
  override name = 'EditError';
}

interface Edited {
  readonly classes: string[];
  readonly samples: readonly Sample[];
  readonly split: SplitSettings;
}

/**
 * The data set after all edits, in order, on top of what was found. Undo is to leave the last edit out. Samples of a
 * dropped class are gone from the result, not from the raw list. Throws `EditError`.
 */
export function applyEdits(
  raw: LabelledFiles,
  edits: readonly DataEdit[],
  split: SplitSettings,
): LabelledFiles & { split: SplitSettings } {
  const start: Edited = { classes: raw.classes, samples: raw.samples, split };
  const { classes, samples, split: chosen } = edits.reduce(applyEdit, start);
  return { ...raw, classes, samples: [...samples], split: chosen };
}

function applyEdit(state: Edited, edit: DataEdit): Edited {
  const { classes, samples } = state;
  switch (edit.kind) {
    case 'rename-class': {
      checkIndices(classes, [edit.index]);
      const name = freeName(classes, edit.name, [edit.index]);
      return { ...state, classes: classes.with(edit.index, name) };
    }
    case 'merge-classes':
      return merge(state, edit.indices, edit.name);
    case 'drop-class': {
      checkIndices(classes, [edit.index]);
      const kept = samples.filter(({ label }) => label !== edit.index);
      return {
        ...state,
        classes: classes.toSpliced(edit.index, 1),
        samples: relabel(kept, (l) => (l > edit.index ? l - 1 : l)),
      };
    }
    case 'add-class':
      return { ...state, classes: [...classes, freeName(classes, edit.name, [])] };
    case 'remove-sample': {
      const kept = samples.filter(({ id }) => id !== edit.sample);
      if (kept.length === samples.length)
        throw new EditError('That picture is not in the data set any more.');
      return { ...state, samples: kept };
    }
    case 'set-label': {
      checkIndices(classes, [edit.index]);
      const chosen = new Set(edit.samples);
      return {
        ...state,
        samples: samples.map((sample) => (chosen.has(sample.id) ? { ...sample, label: edit.index } : sample)),
      };
    }
    case 'set-split': {
      const { kind: _, ...split } = edit;
      if (!(split.val >= 0 && split.test >= 0 && split.val + split.test < 1)) {
        throw new EditError('Validation and test shares must be 0 or more and leave something to train on.');
      }
      return { ...state, split };
    }
  }
}

/** The merged class stands where the first of them stood. */
function merge(state: Edited, indices: readonly number[], wanted: string): Edited {
  checkIndices(state.classes, indices);
  const merged = new Set(indices);
  if (merged.size < 2) throw new EditError('Choose two classes or more to merge.');
  const name = freeName(state.classes, wanted, indices);
  const first = Math.min(...merged);
  const kept = state.classes.flatMap((_, i) => (i === first || !merged.has(i) ? [i] : []));
  const target = new Map(kept.map((old, i) => [old, i]));
  return {
    ...state,
    classes: kept.map((old) => (old === first ? name : state.classes[old])),
    samples: relabel(state.samples, (l) => (l < 0 ? l : target.get(merged.has(l) ? first : l)!)),
  };
}

function relabel(samples: readonly Sample[], to: (label: number) => number): Sample[] {
  return samples.map((sample) => ({ ...sample, label: to(sample.label) }));
}

function checkIndices(classes: readonly string[], indices: readonly number[]): void {
  if (indices.some((index) => !Number.isInteger(index) || index < 0 || index >= classes.length)) {
    throw new EditError('That class is not in the data set any more.');
  }
}

function freeName(classes: readonly string[], wanted: string, own: readonly number[]): string {
  const name = wanted.trim();
  if (name === '') throw new EditError('A class needs a name.');
  if (classes.some((other, i) => other === name && !own.includes(i))) {
    throw new EditError(`There is a class "${name}" already; merge the two instead.`);
  }
  return name;
}
