import { useEffect, useState } from 'react';
import type { DatasetView, Split } from '../../../workers/protocol.ts';
import { engine } from '../../stores/connection.ts';

export interface Thumb {
  sample: number;
  path: string;
  split: Split;
  /** How long a sound lasts; null for a picture. */
  seconds: number | null;
  url: string;
}

const PAGE = 48;
const KEPT_PAGES = 64;

/** Pages of thumbnails by `dataset/hash/class/page`, least recently used first. */
const pages = new Map<string, Promise<Thumb[]>>();

function page(dataset: DatasetView, classIndex: number, at: number): Promise<Thumb[]> {
  const key = `${dataset.id}/${dataset.hash}/${classIndex}/${at}`;
  const known = pages.get(key);
  if (known) {
    pages.delete(key);
    pages.set(key, known);
    return known;
  }
  const asked = engine()
    .thumbnails(dataset.id, classIndex, at * PAGE, PAGE)
    .then((found) => found.map(({ image, ...rest }) => ({ ...rest, url: URL.createObjectURL(image) })));
  pages.set(key, asked);
  // A page that failed is asked for again the next time it comes into view.
  asked.catch(() => pages.delete(key));
  if (pages.size > KEPT_PAGES) forgetOldest();
  return asked;
}

function forgetOldest(): void {
  const [key, old] = pages.entries().next().value!;
  pages.delete(key);
  const release = (thumbs: Thumb[]) => {
    for (const thumb of thumbs) URL.revokeObjectURL(thumb.url);
  };
  old.then(release).catch(() => undefined);
}

/** Thumbnails `from` to `from + count` of a class; undefined until they are there. */
export function useThumbs(
  dataset: DatasetView,
  classIndex: number,
  from: number,
  count: number,
): (Thumb | undefined)[] {
  const [thumbs, setThumbs] = useState<(Thumb | undefined)[]>([]);
  useEffect(() => {
    let stale = false;
    const [first, last] = [Math.floor(from / PAGE), Math.floor((from + count - 1) / PAGE)];
    const wanted = Array.from({ length: last - first + 1 }, (_, i) => page(dataset, classIndex, first + i));
    Promise.all(wanted)
      .then((found) => {
        if (!stale) setThumbs(found.flat().slice(from - first * PAGE, from - first * PAGE + count));
      })
      .catch(() => !stale && setThumbs([]));
    return () => {
      stale = true;
    };
  }, [dataset, classIndex, from, count]);
  return thumbs;
}
