import type * as P from '../../workers/protocol.ts';
import { backbones, catalogue } from './fakeCatalogue.ts';
import { applyEdit, fashion, recount, wilson } from './fakeData.ts';
import { picture } from './fakePictures.ts';
import { tokensOf, wordsOf } from './fakeTexts.ts';

export const clone = <T>(value: T): T => structuredClone(value);
export const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const storedOf = (title: string): P.StoredBackbone => ({
  id: `hub-${title}`,
  title,
  source: `${title}, commit 1234567890ab, from https://hub.example`,
  bytes: 9.1e7,
  missingBytes: 0,
  runs: 1,
  request: null,
});

/** The stand-in's data sets, with their history for undoing, its backbones from a hub, and defaults of settings. */
export class FakeDatasets {
  protected listen: (event: P.StudioEvent) => void = () => undefined;
  protected sets = new Map<string, P.DatasetView[]>();
  protected removed = new Map<string, P.DatasetView[] | P.RunView>();
  protected edits = 0;
  private stored: P.StoredBackbone[] = [
    storedOf('example/small-vit'),
    {
      ...storedOf('example/large-vit'),
      missingBytes: 2.1e8,
      request: { model: 'example/large-vit', hub: '' },
    },
  ];
  private gone: P.StoredBackbone[] = [];

  constructor(protected tickMs: number) {}

  async datasets() {
    return [...this.sets.values()].map((history) => clone(history.at(-1)!));
  }

  async editDataset(id: string, edit: P.DatasetEdit): Promise<P.DatasetView> {
    const d = clone(this.sets.get(id)!.at(-1)!);
    applyEdit(d, edit);
    return this.push(id, d);
  }
  private push(id: string, d: P.DatasetView): P.DatasetView {
    const next = { ...recount(d), hash: `h${++this.edits}`, canUndo: true };
    this.sets.get(id)!.push(next);
    return clone(next);
  }
  async undoDatasetEdit(id: string) {
    const history = this.sets.get(id)!;
    if (history.length > 1) history.pop();
    return clone({ ...history.at(-1)!, canUndo: history.length > 1 });
  }
  async addSample(id: string | null, className: string) {
    if (id === null) {
      id = `d${++this.edits}`;
      this.sets.set(id, [{ ...fashion(), id, name: 'Webcam', classes: [], rejected: [], notes: [] }]);
    }
    const d = clone(this.sets.get(id)!.at(-1)!);
    let c = d.classes.find((k) => k.name === className);
    if (!c) {
      c = { index: 0, name: className, counts: { train: 0, val: 0, test: 0 } };
      d.classes.push(c);
    }
    c.counts.train++;
    return this.push(id, d);
  }
  async removeDataset(id: string) {
    this.removed.set(id, this.sets.get(id)!);
    this.sets.delete(id);
  }
  async restoreDataset(id: string) {
    const kept = this.removed.get(id) as P.DatasetView[];
    this.sets.set(id, kept);
    return clone(kept.at(-1)!);
  }
  async addSound(id: string | null, className: string) {
    return this.addSample(id, className);
  }
  async original(): Promise<Blob> {
    return picture(0, 0);
  }
  async thumbnails(id: string, classIndex: number, from: number, count: number): Promise<P.Thumbnail[]> {
    const { kind, classes } = this.sets.get(id)!.at(-1)!;
    const c = classes[classIndex]!;
    const n = Math.max(0, Math.min(count, c.counts.train + c.counts.val + c.counts.test - from));
    return Promise.all(
      Array.from({ length: n }, async (_, i) => {
        const at = from + i;
        const split = at < c.counts.train ? 'train' : at < c.counts.train + c.counts.val ? 'val' : 'test';
        return {
          sample: classIndex * 1000 + at,
          path:
            kind === 'text'
              ? `questions.csv line ${at * classes.length + classIndex + 2}`
              : `${c.name}/${at}.png`,
          split,
          seconds: null,
          image: kind === 'text' ? new Blob() : await picture(classIndex, at),
          words: kind === 'text' ? wordsOf(c.name, at) : null,
        } as const;
      }),
    );
  }
  async chooseColumns(id: string, columns: P.TextColumns): Promise<P.DatasetView> {
    const d = clone(this.sets.get(id)!.at(-1)!);
    return this.push(id, { ...d, table: d.table && { ...d.table, chosen: columns } });
  }
  async tokens(_: string, __: string, sample: number, length: number): Promise<P.TokenView> {
    await wait(this.tickMs);
    return tokensOf(sample, length);
  }
  async loadFromHub({ model }: P.HubRequest) {
    for (let i = 0; i < 10; i++) {
      const progress = { phase: 'Loading from the hub', done: i * 9e6, total: 9e7, unit: 'bytes' };
      const pace = { perSecond: 9e6, secondsLeft: 10 - i };
      this.listen({ kind: 'progress', job: 'hub', progress: { ...progress, ...pace } });
      await wait(this.tickMs);
    }
    this.stored.push(storedOf(model));
    return { ...backbones[0]!, title: model };
  }

  async storedBackbones() {
    return clone(this.stored);
  }

  async removeBackbone(id: string) {
    this.gone = this.stored.filter((b) => b.id === id);
    this.stored = this.stored.filter((b) => b.id !== id);
  }

  async restoreBackbone() {
    this.stored.push(...this.gone);
  }

  async neighbours(dataset: string, backbone: string): Promise<P.NeighbourScore> {
    await wait(this.tickMs * 3);
    return { ...wilson(106, 150), dataset, backbone, k: 5 };
  }

  protected settings(method: string) {
    const card = catalogue.methods.find((m) => m.id === method)!;
    return Object.fromEntries([...card.settings, ...catalogue.training].map((s) => [s.key, s.default]));
  }
  async defaults(_: string | null, backbone: string, method: string) {
    return { ...this.settings(method), ...backbones.find((b) => b.id === backbone)!.defaults };
  }
  async check(): Promise<P.ReferenceCheck> {
    await wait(this.tickMs * 5);
    return { maxRelativeError: 2.3e-6, samples: 8, tolerance: 1e-4, passed: true };
  }
  async cancel() {}
}
