import { describe, expect, it } from 'vitest';
import type { ClassReport, RunView, Spectrum } from '../../workers/protocol.ts';
import { inOrder } from '../panels/rank/order.ts';
import { wilson } from '../testing/fakeData.ts';
import { refusal } from './data/camera.ts';
import { cleanPath, filesOfInput } from './data/intake.ts';
import { columnsIn, sideIn, wallRows } from './data/wall.ts';
import { sorted } from './result/ClassTable.tsx';
import { verdict } from './result/Headline.tsx';
import { imagesPerSecond } from './train/TrainStage.tsx';

describe('intake', () => {
  it('keeps the path inside the folder and nothing before it', () => {
    expect(['./a/b.png', '/a/b.png', 'a/b.png'].map(cleanPath)).toEqual(['a/b.png', 'a/b.png', 'a/b.png']);
    const file = Object.assign(new File([], 'b.png'), { webkitRelativePath: 'signs/0/b.png' });
    expect(filesOfInput([file])[0]!.path).toBe('signs/0/b.png');
  });

  it('says why there is no camera', () => {
    expect(refusal(new DOMException('', 'NotAllowedError')).advice).toContain('address bar');
    expect(refusal(new Error('x')).message).toBe('The camera could not be opened.');
  });
});

describe('wall', () => {
  const classes = [0, 1].map((index) => ({
    index,
    name: `c${index}`,
    counts: { train: 20, val: 3, test: 2 },
  }));

  it('fills the width and shows two rows of each class until it is opened', () => {
    const columns = columnsIn(700);
    expect(columns * (sideIn(700, columns) + 4) - 4).toBeLessThanOrEqual(700);
    const rows = wallRows(classes, 10, new Set(['c1']));
    expect(rows.map((r) => (r.kind === 'head' ? `head ${r.hidden}` : r.count))).toEqual([
      'head 5',
      10,
      10,
      'head 0',
      10,
      10,
      5,
    ]);
  });
});

describe('result', () => {
  it('claims a gain only when the intervals do not meet', () => {
    expect(verdict(wilson(95, 100), wilson(70, 100))).toBe('the intervals do not meet');
    expect(verdict(wilson(75, 100), wilson(70, 100))).toBe('the intervals overlap');
    expect(verdict(wilson(60, 100), wilson(70, 100))).toBe('below the probe');
  });

  it('puts the weakest class first when sorted by a figure', () => {
    const make = (name: string, recall: number): ClassReport => ({
      name,
      recall,
      precision: 1,
      f1: 1,
      support: 1,
    });
    const classes = [make('b', 0.9), make('a', 0.4)];
    expect(sorted(classes, 'recall').map((c) => c.name)).toEqual(['a', 'b']);
    expect(sorted(classes, null).map((c) => c.name)).toEqual(['b', 'a']);
  });
});

it('counts pictures a second from the step when the engine counts steps', () => {
  const run = {
    plan: { settings: { batch_size: 16 } },
    progress: { unit: 'steps', perSecond: 8 },
    latest: { ms: 100 },
  } as unknown as RunView;
  expect(imagesPerSecond(run)).toBe(160);
});

it('draws spectra in the order of the network, strangers last', () => {
  const make = (path: string): Spectrum => ({ path, shape: [1], values: [1] });
  expect(inOrder([make('x'), make('b'), make('a')], ['a', 'b']).map((s) => s.path)).toEqual(['a', 'b', 'x']);
});
