import { ChevronDown, ChevronUp, GripVertical, ListOrdered, Pause, Play, X } from 'lucide-react';
import { type PointerEvent, useMemo, useRef, useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import type { RunView } from '../../workers/protocol.ts';
import { undoable } from '../actions/undoable.ts';
import { differing, sideOf } from '../panels/compare/differing.ts';
import { IconButton } from '../parts/Button.tsx';
import { lightsRun, litRun, useHover } from '../stores/hover.ts';
import { useMachine } from '../stores/machine.ts';
import { leaveQueue, moveQueue, moveQueued, nudgeQueued, queueOf } from '../stores/queue.ts';
import { isMoving, select, useRuns } from '../stores/runs.ts';
import { go } from '../stores/view.ts';
import styles from './library.module.css';

/** The runs that wait, with their order in hand; nothing where none waits. */
export function Queue() {
  const queue = useRuns(useShallow((s) => queueOf(s.runs)));
  const moves = useRuns((s) => s.queueMoves);
  const moving = useRuns((s) => s.runs.some(isMoving));
  const catalogue = useMachine((s) => s.catalogue);
  const differences = useMemo(() => differing(queue, catalogue), [queue, catalogue]);
  const { list, drag, grip } = useDrag(queue.map((run) => run.id));
  if (queue.length === 0) return null;
  const note = moves
    ? moving
      ? 'Each begins as the last one ends.'
      : 'Beginning…'
    : moving
      ? 'Held: nothing follows the run that trains.'
      : 'Held until it is started.';
  return (
    <section className={styles['section']} aria-label="Queue" data-testid="queue" data-moves={moves}>
      <div className={styles['queueHead']}>
        <h2>
          <ListOrdered aria-hidden />
          Queue
        </h2>
        <IconButton
          small
          label={moves ? 'Hold the queue' : 'Start the queue'}
          data-testid="move-queue"
          onClick={() => void moveQueue(!moves)}
        >
          {moves ? <Pause aria-hidden /> : <Play aria-hidden />}
        </IconButton>
      </div>
      <p className={styles['queueNote']} role="status">
        {note}
      </p>
      <ol ref={list}>
        {queue.map((run, i) => (
          <Row
            key={run.id}
            run={run}
            index={i}
            last={i === queue.length - 1}
            told={sideOf(differences, i) || run.datasetName}
            dragged={drag?.id === run.id}
            drop={
              !drag
                ? undefined
                : drag.before === run.id
                  ? 'before'
                  : drag.before === null && i === queue.length - 1
                    ? 'after'
                    : undefined
            }
            grip={grip(run.id)}
          />
        ))}
      </ol>
    </section>
  );
}

interface RowProps {
  run: RunView;
  index: number;
  last: boolean;
  /** What sets it apart from the others. */
  told: string;
  dragged: boolean;
  drop: 'before' | 'after' | undefined;
  grip: Grip;
}

function Row({ run, index, last, told, dragged, drop, grip }: RowProps) {
  const lit = useHover((s) => litRun(s) === run.id);
  const selected = useRuns((s) => s.selected === run.id);
  const leave = async () => {
    const restore = await leaveQueue(run);
    if (restore) undoable(`Took ${run.name} out of the queue`, restore);
  };
  return (
    <li
      className={styles['waiting']}
      data-lit={lit || undefined}
      data-selected={selected || undefined}
      data-dragged={dragged || undefined}
      data-drop={drop}
      data-testid={`run-${run.id}`}
      data-state={run.state}
      {...lightsRun(run.id)}
    >
      <span className={styles['grip']} data-testid={`grip-${run.id}`} aria-hidden="true" {...grip}>
        <GripVertical />
      </span>
      <button
        type="button"
        className={styles['open']}
        aria-current={selected || undefined}
        title={`${run.name}: ${told}`}
        onClick={() => {
          select(run.id);
          go('train');
        }}
      >
        <span className={styles['name']}>
          {index + 1}. {run.name}
        </span>
        <span className={styles['sub']}>{told}</span>
      </button>
      <span className={styles['moves']}>
        <IconButton
          small
          label={`Move ${run.name} up`}
          aria-disabled={index === 0}
          data-testid={`up-${run.id}`}
          onClick={() => void nudgeQueued(run.id, -1)}
        >
          <ChevronUp aria-hidden />
        </IconButton>
        <IconButton
          small
          label={`Move ${run.name} down`}
          aria-disabled={last}
          data-testid={`down-${run.id}`}
          onClick={() => void nudgeQueued(run.id, 1)}
        >
          <ChevronDown aria-hidden />
        </IconButton>
        <IconButton
          small
          label={`Take ${run.name} out of the queue`}
          data-testid={`leave-${run.id}`}
          onClick={() => void leave()}
        >
          <X aria-hidden />
        </IconButton>
      </span>
    </li>
  );
}

interface Grip {
  onPointerDown(event: PointerEvent<HTMLElement>): void;
  onPointerMove(event: PointerEvent<HTMLElement>): void;
  onPointerUp(): void;
  onPointerCancel(): void;
}

/** Dragging a row by its grip, with mouse, pen or finger; the buttons of the row do the same by keyboard. */
function useDrag(ids: string[]) {
  const list = useRef<HTMLOListElement | null>(null);
  const [drag, setDrag] = useState<{ id: string; before: string | null } | null>(null);
  /** The row that the pointer is above the middle of: the dragged one goes before it. */
  const under = (y: number): string | null => {
    const rows = [...(list.current?.children ?? [])];
    const at = rows.findIndex((row) => {
      const { top, height } = row.getBoundingClientRect();
      return y < top + height / 2;
    });
    return at < 0 ? null : (ids[at] ?? null);
  };
  const grip = (id: string): Grip => ({
    onPointerDown: (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      event.currentTarget.setPointerCapture(event.pointerId);
      setDrag({ id, before: under(event.clientY) });
    },
    onPointerMove: (event) => {
      if (drag?.id === id) setDrag({ id, before: under(event.clientY) });
    },
    onPointerUp: () => {
      if (drag?.id !== id) return;
      setDrag(null);
      // Above the row that follows it is where it stands already.
      if (drag.before !== id && ids[ids.indexOf(id) + 1] !== drag.before) void moveQueued(id, drag.before);
    },
    onPointerCancel: () => setDrag(null),
  });
  return { list, drag, grip };
}
