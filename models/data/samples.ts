import { encodePng } from './encodePng.ts';
import type { FileEntry } from './entry.ts';
import { DataError } from './errors.ts';
import type { LabelledFiles, Sample } from './folder.ts';
import type { Pixels } from './pixels.ts';
import { decodePng } from './png.ts';
import { crop } from './resize.ts';
import type { Split } from './tables.ts';

/** The JSON beside a bundled sprite: row r of tiles holds the pictures of `classes[r]`, one in each column. */
export interface SpriteCard {
  readonly title: string;
  readonly licence: string;
  readonly copyright?: string;
  readonly image: string;
  readonly sha256: string;
  /** Side of a tile in pixels. */
  readonly tile: number;
  readonly columns: number;
  readonly rows: number;
  readonly classes: readonly string[];
  /** Columns [first, last) of each split. */
  readonly splits: Partial<Record<Split, readonly [number, number]>>;
}

/**
 * Cuts a sprite into labelled pictures, as if a folder `split/class/000.png` had been dropped. Throws `DataError`
 * where picture and card do not belong together.
 */
export function readSprite(sprite: Uint8Array, card: SpriteCard): LabelledFiles {
  const image = decodePng(sprite);
  const { tile, columns, rows, classes } = card;
  if (image.width !== tile * columns || image.height !== tile * rows || classes.length !== rows) {
    throw new DataError(
      card.image,
      `it has ${image.width} × ${image.height} pixels, which is not ${columns} × ${rows} tiles of ${tile}; build the page again`,
    );
  }
  const samples: Sample[] = [];
  for (const split of ['test', 'train', 'val'] as const) {
    const [first, last] = card.splits[split] ?? [0, 0];
    classes.forEach((name, label) => {
      for (let column = first; column < last; column++) {
        const path = `${split}/${name}/${String(column).padStart(3, '0')}.png`;
        const entry = tileEntry(path, image, column * tile, label * tile, tile);
        samples.push({ id: samples.length, path, entry, label, split });
      }
    });
  }
  return {
    kind: 'image',
    classes: [...classes],
    samples,
    rejected: [],
    notes: [`${card.title}: ${samples.length} pictures in ${rows} classes (${card.licence}).`],
  };
}

/** A tile becomes a PNG when it is read, so that it goes the way of any dropped file. */
function tileEntry(path: string, image: Pixels, left: number, top: number, tile: number): FileEntry {
  const bytes = async () => encodePng(crop(image, left, top, tile, tile));
  return { path, size: tile * tile * 3, bytes };
}
