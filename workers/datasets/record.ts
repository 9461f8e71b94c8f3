import type { DataEdit } from '../../models/data/edits.ts';
import type { Rejected } from '../../models/data/entry.ts';
import type { DataKind } from '../../models/data/kind.ts';
import type { SplitSettings } from '../../models/data/split.ts';
import type { Split } from '../../models/data/tables.ts';
import type { TextColumns } from '../../models/data/text/texts.ts';

/** A data set as it is stored: what was found, and the edits made since. Samples are rows of their own. */
export interface DatasetRecord {
  readonly version: 2;
  readonly id: string;
  /** What its samples are. */
  readonly kind: DataKind;
  readonly name: string;
  readonly createdAt: number;
  /** When it was removed; its bytes go once nobody can take that back. */
  readonly removedAt: number | null;
  /** Class names as found; edits rename, merge and drop them. */
  readonly classes: string[];
  readonly rejected: Rejected[];
  readonly notes: string[];
  readonly split: SplitSettings;
  /** In order; undo takes the last away. */
  readonly edits: StoredEdit[];
  /** Bytes of its samples and thumbnails. */
  readonly bytes: number;
  /** The table that its texts came from. */
  readonly table?: StoredTable;
}

/** A table of texts as it was dropped, so that other columns of it can be chosen. */
export interface StoredTable {
  /** Paths of its files; file i is stored as `datasets/<id>/table.<i>`. */
  readonly files: readonly string[];
  readonly columns: readonly string[];
  readonly chosen: TextColumns;
  /** The first rows, as they stand in the first file. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/** An edit, or a sample added to the class that has `index` at that point. */
export type StoredEdit =
  | DataEdit
  | { readonly kind: 'add-picture'; readonly sample: number; readonly index: number };

/** Where bytes lie in a pack. */
export interface Place {
  readonly pack: string;
  readonly begin: number;
  readonly end: number;
}

/** A sample of a data set. Rows are never changed or removed while their data set is there: runs replay edits on them. */
export interface StoredSample {
  readonly dataset: string;
  /** Counts up from 0 in the order found or added. */
  readonly id: number;
  readonly path: string;
  /** Class as found; -1 for samples without one and for those that an edit adds. */
  readonly label: number;
  readonly split?: Split;
  /** The bytes of the file as it came; of a text, its words. */
  readonly photo: Place;
  /** Absent for texts. */
  readonly thumb?: Place;
  /** SHA-256 of its bytes, hexadecimal. */
  readonly hash: string;
  /** How long a sound lasts. */
  readonly seconds?: number;
}

/** Edits as `applyEdits` takes them; pictures added in a row to one class become one change of label. */
export function asDataEdits(edits: readonly StoredEdit[]): DataEdit[] {
  const result: DataEdit[] = [];
  for (const edit of edits) {
    const last = result.at(-1);
    if (edit.kind !== 'add-picture') result.push(edit);
    else if (last?.kind === 'set-label' && last.index === edit.index)
      result.splice(-1, 1, { ...last, samples: [...last.samples, edit.sample] });
    else result.push({ kind: 'set-label', samples: [edit.sample], index: edit.index });
  }
  return result;
}
