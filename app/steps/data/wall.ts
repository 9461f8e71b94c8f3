import type { ClassView } from '../../../workers/protocol.ts';

/** One row of the wall: a class's heading, or a row of its pictures. */
export type WallRow =
  | { kind: 'head'; class: ClassView; images: number; hidden: number }
  | { kind: 'pictures'; class: ClassView; from: number; count: number };

export const HEAD_HEIGHT = 48;
/** Least side of a picture on the wall, in CSS pixels; they grow to fill the row. */
const LEAST = 64;
export const GAP = 4;
const SHOWN_ROWS = 2;

export const total = (c: ClassView): number => c.counts.train + c.counts.val + c.counts.test;

/** How many pictures fit side by side in a width of CSS pixels. */
export const columnsIn = (width: number): number => Math.max(1, Math.floor((width + GAP) / (LEAST + GAP)));

/** The side at which that many pictures fill the width. */
export const sideIn = (width: number, columns: number): number => Math.floor((width + GAP) / columns) - GAP;

/** The wall as rows: each class shows two rows of pictures until it is opened. */
export function wallRows(
  classes: readonly ClassView[],
  columns: number,
  open: ReadonlySet<string>,
): WallRow[] {
  return classes.flatMap((c) => {
    const images = total(c);
    const shown = open.has(c.name) ? images : Math.min(images, columns * SHOWN_ROWS);
    const rows: WallRow[] = [{ kind: 'head', class: c, images, hidden: images - shown }];
    for (let from = 0; from < shown; from += columns)
      rows.push({ kind: 'pictures', class: c, from, count: Math.min(columns, shown - from) });
    return rows;
  });
}
