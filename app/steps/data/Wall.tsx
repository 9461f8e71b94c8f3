import { useVirtualizer } from '@tanstack/react-virtual';
import { Mic, MoreHorizontal, Trash2, Video, X } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { DatasetView } from '../../../workers/protocol.ts';
import { undoable } from '../../actions/undoable.ts';
import { IconButton } from '../../parts/Button.tsx';
import { useWidth } from '../../parts/hooks.ts';
import { NameField } from '../../parts/Inputs.tsx';
import { Menu } from '../../parts/Overlays.tsx';
import { edit, undoEdit } from '../../stores/data.ts';
import { lightsClass, litClass, pinClass, useHover } from '../../stores/hover.ts';
import { classColour } from '../../text/colour.ts';
import { count, length, plural, sampleNoun } from '../../text/format.ts';
import { openCapture } from './capture.ts';
import styles from './data.module.css';
import { play, usePlayer } from './player.ts';
import { type Thumb, useThumbs } from './thumbs.ts';
import { columnsIn, GAP, HEAD_HEIGHT, sideIn, type WallRow, wallRows } from './wall.ts';

interface Props {
  dataset: DatasetView;
  chosen: ReadonlySet<number>;
  onChoose: (index: number, on: boolean) => void;
}

/** Every class with its pictures; only what is in view is on the page. */
export function Wall({ dataset, chosen, onChoose }: Props) {
  const [frame, width] = useWidth();
  const list = useRef<HTMLDivElement | null>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const columns = columnsIn(width);
  const side = sideIn(width, columns);
  const rows = useMemo(() => wallRows(dataset.classes, columns, open), [dataset.classes, columns, open]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => list.current?.closest<HTMLElement>('[data-stage]') ?? null,
    estimateSize: (index) => (rows[index]!.kind === 'head' ? HEAD_HEIGHT : side + GAP),
    scrollMargin: list.current?.offsetTop ?? 0,
    overscan: 4,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows are measured anew when their height changes.
  useEffect(() => {
    virtual.measure();
  }, [side, rows]);
  const toggle = (name: string) =>
    setOpen((before) => {
      const after = new Set(before);
      if (!after.delete(name)) after.add(name);
      return after;
    });
  return (
    <div
      ref={(element) => {
        list.current = element;
        frame(element);
      }}
      className={styles['wall']}
      style={{ height: virtual.getTotalSize() }}
      data-testid="wall"
    >
      {width > 0 &&
        virtual.getVirtualItems().map((item) => {
          const row = rows[item.index]!;
          return (
            <div
              key={`${row.class.index}/${row.kind === 'head' ? 'head' : row.from}`}
              className={styles['wallRow']}
              style={{
                transform: `translateY(${item.start - virtual.options.scrollMargin}px)`,
                height: item.size,
              }}
            >
              {row.kind === 'head' ? (
                <ClassHead
                  dataset={dataset}
                  row={row}
                  open={open.has(row.class.name)}
                  onToggle={() => toggle(row.class.name)}
                  chosen={chosen.has(row.class.index)}
                  onChoose={(on) => onChoose(row.class.index, on)}
                />
              ) : (
                <Pictures dataset={dataset} row={row} side={side} />
              )}
            </div>
          );
        })}
    </div>
  );
}

interface HeadProps {
  dataset: DatasetView;
  row: Extract<WallRow, { kind: 'head' }>;
  open: boolean;
  onToggle: () => void;
  chosen: boolean;
  onChoose: (on: boolean) => void;
}

export function ClassHead({ dataset, row, open, onToggle, chosen, onChoose }: HeadProps) {
  const { class: c, images, hidden } = row;
  const lit = useHover((s) => litClass(s) === c.name);
  return (
    <div
      className={styles['classHead']}
      data-lit={lit || undefined}
      data-testid={`class-${c.name}`}
      {...lightsClass(c.name)}
    >
      <input
        type="checkbox"
        aria-label={`Choose ${c.name} for merging`}
        checked={chosen}
        onChange={(event) => onChoose(event.target.checked)}
      />
      <button
        type="button"
        className={styles['swatch']}
        style={{ background: classColour(c.name) }}
        aria-label={`Pin ${c.name}`}
        title="Pin this class everywhere"
        onClick={() => pinClass(c.name)}
      />
      <NameField
        label={`Name of class ${c.name}`}
        value={c.name}
        style={{ fontWeight: 600, maxWidth: '16em' }}
        onCommit={(name) => void edit(dataset.id, { kind: 'rename-class', index: c.index, name })}
      />
      <span className={styles['classCount']}>{plural(images, sampleNoun[dataset.kind])}</span>
      <SplitBar counts={c.counts} />
      {(hidden > 0 || open) && (
        <button type="button" className={styles['textButton']} onClick={onToggle} aria-expanded={open}>
          {open ? 'Fewer' : `All ${count(images)}`}
        </button>
      )}
      <Menu
        label={c.name}
        trigger={
          <IconButton small label={`More for ${c.name}`}>
            <MoreHorizontal aria-hidden />
          </IconButton>
        }
        entries={[
          ...(dataset.kind === 'text'
            ? []
            : [
                {
                  label: 'Capture into it',
                  icon: dataset.kind === 'audio' ? <Mic aria-hidden /> : <Video aria-hidden />,
                  perform: () => openCapture(dataset.kind, c.name),
                },
              ]),
          {
            label: 'Drop this class',
            icon: <Trash2 aria-hidden />,
            perform: async () => {
              await edit(dataset.id, { kind: 'drop-class', index: c.index });
              undoable(`Dropped ${c.name}`, () => undoEdit(dataset.id));
            },
          },
        ]}
      />
    </div>
  );
}

/** Train, validation and test as shares of one bar. */
export function SplitBar({ counts }: { counts: { train: number; val: number; test: number } }) {
  const words = `train ${count(counts.train)}, validation ${count(counts.val)}, test ${count(counts.test)}`;
  return (
    <span className={styles['splitBar']} role="img" aria-label={words} title={words}>
      <i data-split="train" style={{ flexGrow: counts.train }} />
      <i data-split="val" style={{ flexGrow: counts.val }} />
      <i data-split="test" style={{ flexGrow: counts.test }} />
    </span>
  );
}

interface PicturesProps {
  dataset: DatasetView;
  row: Extract<WallRow, { kind: 'pictures' }>;
  /** CSS pixels. */
  side: number;
}

function Pictures({ dataset, row, side }: PicturesProps) {
  const thumbs = useThumbs(dataset, row.class.index, row.from, row.count);
  const dim = useHover((s) => s.pinnedClass !== null && litClass(s) !== row.class.name);
  return (
    <ul className={styles['pictures']} data-dim={dim || undefined}>
      {Array.from({ length: row.count }, (_, i) => {
        const thumb = thumbs[i];
        const drop = async () => {
          if (!thumb) return;
          await edit(dataset.id, { kind: 'remove-sample', sample: thumb.sample });
          undoable(`Removed ${thumb.path.split('/').at(-1)}`, () => undoEdit(dataset.id));
        };
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a place on the wall, whichever picture comes to stand there.
          <li key={i} style={{ width: side, height: side }} data-split={thumb?.split}>
            {thumb && (
              <>
                {thumb.seconds === null ? (
                  <img
                    src={thumb.url}
                    alt={`${row.class.name}, ${thumb.split}`}
                    title={`${thumb.path} (${thumb.split})`}
                    draggable={false}
                  />
                ) : (
                  <Spectrogram dataset={dataset} thumb={thumb} seconds={thumb.seconds} />
                )}
                <button
                  type="button"
                  className={styles['remove']}
                  aria-label={`Remove ${thumb.path}`}
                  title="Remove"
                  onClick={() => void drop()}
                >
                  <X aria-hidden />
                </button>
              </>
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** A sound as its spectrogram; pressing it plays it, and stops it again. */
function Spectrogram({ dataset, thumb, seconds }: { dataset: DatasetView; thumb: Thumb; seconds: number }) {
  const playing = usePlayer((s) => s.dataset === dataset.id && s.sample === thumb.sample);
  return (
    <button
      type="button"
      className={styles['sound']}
      aria-pressed={playing}
      aria-label={`Play ${thumb.path}, ${length(seconds)}`}
      title={`${thumb.path} (${thumb.split}, ${length(seconds)})`}
      onClick={() => void play(dataset.id, thumb.sample)}
    >
      <img src={thumb.url} alt="" draggable={false} />
      <span>{length(seconds)}</span>
    </button>
  );
}
