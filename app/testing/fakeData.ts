import type * as P from '../../workers/protocol.ts';

const NAMES = [
  'T-shirt',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** A share of hits with its 95 % Wilson interval. */
export function wilson(hits: number, n: number): P.Score {
  const z = 1.959964;
  const p = hits / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n);
  return { accuracy: p, low: centre - half, high: centre + half, n };
}

/** The sample's view as it is first opened. */
export function fashion(): P.DatasetView {
  const classes = NAMES.map((name, index) => ({
    index,
    name,
    counts: { train: 118 + ((index * 7) % 11), val: 15, test: 15 },
  }));
  return recount({
    id: 'fashion',
    kind: 'image',
    name: 'Fashion',
    createdAt: Date.now() - 3_600_000,
    hash: 'h0',
    classes,
    counts: { train: 0, val: 0, test: 0 },
    split: { val: 0.1, test: 0.1, seed: 1, fromFolders: false },
    rejected: [
      { path: 'fashion/Bag/notes.txt', reason: 'It is not a picture.' },
      { path: 'fashion/Coat/broken_0412.png', reason: 'The file ends in the middle of the picture.' },
      { path: 'fashion/Shirt/huge.tif', reason: 'TIFF is not read here. Save it as PNG or JPEG.' },
    ],
    notes: ['Two pictures are the same in train and test; the test copies were left out of the score.'],
    canUndo: false,
    bytes: 1_240_000,
    table: null,
  });
}

/** Totals and indices made to agree with the classes. */
export function recount(d: P.DatasetView): P.DatasetView {
  const counts = { train: 0, val: 0, test: 0 };
  for (const c of d.classes)
    for (const key of ['train', 'val', 'test'] as const) counts[key] += c.counts[key];
  return { ...d, counts, classes: d.classes.map((c, index) => ({ ...c, index })) };
}

/** Applies one edit in place. */
export function applyEdit(d: P.DatasetView, edit: P.DatasetEdit): void {
  if (edit.kind === 'rename-class') d.classes[edit.index]!.name = edit.name;
  if (edit.kind === 'drop-class') d.classes.splice(edit.index, 1);
  if (edit.kind === 'add-class')
    d.classes.push({ index: 0, name: edit.name, counts: { train: 0, val: 0, test: 0 } });
  if (edit.kind === 'remove-sample') d.classes[Math.floor(edit.sample / 1000)]!.counts.train--;
  if (edit.kind === 'merge-classes') {
    const [first, ...rest] = edit.indices.map((i) => d.classes[i]!);
    for (const c of rest)
      for (const key of ['train', 'val', 'test'] as const) first!.counts[key] += c.counts[key];
    first!.name = edit.name;
    d.classes = d.classes.filter((c) => !rest.includes(c));
  }
  if (edit.kind === 'set-split') {
    d.split = { val: edit.val, test: edit.test, seed: edit.seed, fromFolders: edit.fromFolders };
    for (const c of d.classes) {
      const n = c.counts.train + c.counts.val + c.counts.test;
      const [val, test] = [Math.round(n * edit.val), Math.round(n * edit.test)];
      c.counts = { train: n - val - test, val, test };
    }
  }
}

/** One folder a class, or nothing. */
export function understand(files: P.DroppedFile[], id: string): P.Understood {
  const byClass = new Map<string, number>();
  for (const { path } of files) {
    const name = path.split('/').at(-2);
    if (name !== undefined) byClass.set(name, (byClass.get(name) ?? 0) + 1);
  }
  if (byClass.size === 0)
    return {
      kind: 'nothing',
      sentence: 'No pictures with labels were found among these files.',
      rejected: files.map((f) => ({ path: f.path, reason: 'It lies in no class folder.' })),
    };
  const classes = [...byClass].map(([name, own], index) => ({
    index,
    name,
    counts: { train: own, val: 0, test: 0 },
  }));
  const dataset = recount({
    ...fashion(),
    id,
    name: files[0]!.path.split('/')[0]!,
    classes,
    rejected: [],
    notes: [],
    createdAt: Date.now(),
  });
  return {
    kind: 'dataset',
    sentence: `A data set: ${files.length} pictures in ${classes.length} folders, one folder a class.`,
    dataset,
  };
}
