import { Trash2 } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { ClassView, DatasetView, Thumbnail } from '../../../workers/protocol.ts';
import { undoable } from '../../actions/undoable.ts';
import { IconButton } from '../../parts/Button.tsx';
import { engine } from '../../stores/connection.ts';
import { edit, undoEdit } from '../../stores/data.ts';
import { litClass, useHover } from '../../stores/hover.ts';
import styles from './texts.module.css';
import { ClassHead } from './Wall.tsx';

interface Props {
  dataset: DatasetView;
  chosen: ReadonlySet<number>;
  onChoose: (index: number, on: boolean) => void;
}

/** Texts of a class that stand under its name, and those shown when it is opened. */
const FEW = 3;
const MANY = 200;

/** Every class with its first texts. */
export function Texts({ dataset, chosen, onChoose }: Props) {
  return (
    <div className={styles['texts']} data-testid="wall">
      {dataset.classes.map((c) => (
        <TextClass
          key={`${c.index}/${c.name}`}
          dataset={dataset}
          of={c}
          chosen={chosen.has(c.index)}
          onChoose={(on) => onChoose(c.index, on)}
        />
      ))}
    </div>
  );
}

interface ClassProps {
  dataset: DatasetView;
  of: ClassView;
  chosen: boolean;
  onChoose: (on: boolean) => void;
}

function TextClass({ dataset, of: c, chosen, onChoose }: ClassProps) {
  const [open, setOpen] = useState(false);
  const [shown, setShown] = useState<Thumbnail[]>([]);
  const images = c.counts.train + c.counts.val + c.counts.test;
  const wanted = open ? MANY : FEW;
  useEffect(() => {
    let stale = false;
    engine()
      .thumbnails(dataset.id, c.index, 0, wanted)
      .then((found) => !stale && setShown(found))
      .catch(() => !stale && setShown([]));
    return () => {
      stale = true;
    };
  }, [dataset.id, c.index, wanted]);
  const dim = useHover((s) => s.pinnedClass !== null && litClass(s) !== c.name);
  const row = { kind: 'head', class: c, images, hidden: Math.max(0, images - FEW) } as const;
  return (
    <section aria-label={c.name} className={styles['class']} data-dim={dim || undefined}>
      <ClassHead
        dataset={dataset}
        row={row}
        open={open}
        onToggle={() => setOpen(!open)}
        chosen={chosen}
        onChoose={onChoose}
      />
      <ul>
        {shown.map((text) => (
          <TextRow key={text.sample} dataset={dataset} text={text} />
        ))}
        {open && images > MANY && (
          <li className={styles['more']}>The first {MANY} are shown; all of them are used.</li>
        )}
      </ul>
    </section>
  );
}

function TextRow({ dataset, text }: { dataset: DatasetView; text: Thumbnail }) {
  const drop = async () => {
    await edit(dataset.id, { kind: 'remove-sample', sample: text.sample });
    undoable(`Removed ${text.path}`, () => undoEdit(dataset.id));
  };
  return (
    <li data-split={text.split} title={text.path}>
      <p>
        {text.words?.text}
        {text.words?.pair != null && <span className={styles['pair']}>{text.words.pair}</span>}
      </p>
      {text.split !== 'train' && <small>{text.split === 'val' ? 'validation' : 'test'}</small>}
      <IconButton small label={`Remove ${text.path}`} onClick={() => void drop()}>
        <Trash2 aria-hidden />
      </IconButton>
    </li>
  );
}
