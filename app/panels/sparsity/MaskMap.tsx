import { Minus, Plus, Scan } from 'lucide-react';
import { type KeyboardEvent, type PointerEvent, useEffect, useMemo, useRef, useState } from 'react';
import type { MaskView } from '../../../workers/protocol.ts';
import { IconButton } from '../../parts/Button.tsx';
import { useMedia, useWidth } from '../../parts/hooks.ts';
import { resolveColour as resolve } from '../../parts/tokens.ts';
import { useView } from '../../stores/view.ts';
import { count, percent } from '../../text/format.ts';
import { covered, levelAt, type Pyramid, pyramidOf, type Rectangle } from './pyramid.ts';
import styles from './sparsity.module.css';

interface Props {
  mask: MaskView;
  other: MaskView | null;
  /** The part marked to be painted; null for none. */
  marked: Rectangle | null;
  onMark(part: Rectangle | null): void;
}

/** Pixels a weight, and the weight at the map's left top. */
interface Look {
  scale: number;
  x: number;
  y: number;
}

const [LEAST, MOST] = [120, 260];

/** One matrix's mask from the whole down to single weights: wheel or + and − to zoom, drag to mark, arrows to move. */
export function MaskMap({ mask, other, marked, onMark }: Props) {
  const [frame, width] = useWidth();
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const { rows, columns } = mask;
  const whole = Math.min(width / columns, MOST / rows) || 1;
  const height = Math.max(LEAST, Math.min(MOST, rows * whole));
  const [look, setLook] = useState<Look | null>(null);
  const view = look ?? { scale: whole, x: 0, y: 0 };
  const own = useMemo(() => pyramidOf(rows, columns, mask.indices), [rows, columns, mask.indices]);
  const laid = useMemo(() => (other ? pyramidOf(other.rows, other.columns, other.indices) : null), [other]);
  const dark = useMedia('(prefers-color-scheme: dark)');
  const theme = useView((s) => s.theme);
  const from = useRef<{ x: number; y: number } | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another matrix is looked at as a whole first.
  useEffect(() => setLook(null), [mask.path]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes the colours that are read while drawing.
  useEffect(() => {
    const target = canvas.current;
    if (!target || width === 0) return;
    const frameAt = requestAnimationFrame(() => draw(target, own, laid, view, marked));
    return () => cancelAnimationFrame(frameAt);
  }, [own, laid, view.scale, view.x, view.y, marked, width, dark, theme]);

  const zoom = (by: number, at = { x: width / 2, y: height / 2 }) => {
    const scale = Math.min(48, Math.max(whole, view.scale * by));
    if (scale === whole) return setLook(null);
    const [x, y] = [view.x + at.x / view.scale - at.x / scale, view.y + at.y / view.scale - at.y / scale];
    setLook(inside({ scale, x, y }, rows, columns, width, height));
  };
  const move = (dx: number, dy: number) =>
    setLook(
      inside(
        { ...view, x: view.x + dx / view.scale, y: view.y + dy / view.scale },
        rows,
        columns,
        width,
        height,
      ),
    );
  const weightAt = (e: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    return {
      x: view.x + (e.clientX - box.left) / view.scale,
      y: view.y + (e.clientY - box.top) / view.scale,
    };
  };
  const zoomNow = useRef(zoom);
  zoomNow.current = zoom;
  useEffect(() => {
    const target = canvas.current;
    // React's own wheel handler cannot keep the page from scrolling.
    const wheel = (e: WheelEvent) => {
      e.preventDefault();
      zoomNow.current(e.deltaY < 0 ? 1.25 : 0.8, { x: e.offsetX, y: e.offsetY });
    };
    target?.addEventListener('wheel', wheel, { passive: false });
    return () => target?.removeEventListener('wheel', wheel);
  }, []);
  const keys = (e: KeyboardEvent) => {
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-40, 0],
      ArrowRight: [40, 0],
      ArrowUp: [0, -40],
      ArrowDown: [0, 40],
    };
    const by = moves[e.key];
    if (by) move(...by);
    else if (e.key === '+' || e.key === '=') zoom(1.5);
    else if (e.key === '-') zoom(1 / 1.5);
    else if (e.key === 'Escape') onMark(null);
    else return;
    e.preventDefault();
  };
  return (
    <figure className={styles['map']}>
      <figcaption className={styles['mapHead']}>
        <h3>{mask.path}</h3>
        <span>
          {rows} × {columns}, {count(mask.indices.length)} trained (
          {percent(mask.indices.length / (rows * columns), 2)})
        </span>
        <IconButton small label="Zoom out" onClick={() => zoom(1 / 1.5)}>
          <Minus aria-hidden />
        </IconButton>
        <IconButton small label="Zoom in" onClick={() => zoom(1.5)}>
          <Plus aria-hidden />
        </IconButton>
        <IconButton small label="Show the whole matrix" onClick={() => setLook(null)}>
          <Scan aria-hidden />
        </IconButton>
      </figcaption>
      <div ref={frame} className={styles['frame']}>
        <canvas
          ref={canvas}
          tabIndex={0}
          role="img"
          aria-label={`Mask of ${mask.path}: ${count(mask.indices.length)} of ${count(rows * columns)} weights are trained. Plus and minus zoom, arrows move.`}
          data-testid="mask-map"
          style={{ width, height }}
          onKeyDown={keys}
          onPointerDown={(e) => {
            e.currentTarget.setPointerCapture(e.pointerId);
            from.current = weightAt(e);
          }}
          onPointerMove={(e) => {
            if (from.current) onMark(covered(from.current, weightAt(e), rows, columns));
          }}
          onPointerUp={() => {
            from.current = null;
          }}
        />
      </div>
    </figure>
  );
}

/** Keeps the matrix in the frame. */
function inside({ scale, x, y }: Look, rows: number, columns: number, width: number, height: number): Look {
  const bound = (v: number, size: number, shown: number) =>
    Math.min(Math.max(0, size - shown), Math.max(0, v));
  return { scale, x: bound(x, columns, width / scale), y: bound(y, rows, height / scale) };
}

function draw(
  canvas: HTMLCanvasElement,
  own: Pyramid,
  laid: Pyramid | null,
  { scale, x, y }: Look,
  marked: Rectangle | null,
): void {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const c = canvas.getContext('2d')!;
  c.scale(ratio, ratio);
  const level = levelAt(scale, own.levels.length);
  const { rows, columns, counts } = own.levels[level]!;
  const over = laid?.levels[Math.min(level, laid.levels.length - 1)];
  const base = own.levels[0]!;
  c.fillStyle = resolve('--frozen-1');
  c.fillRect(-x * scale, -y * scale, base.columns * scale, base.rows * scale);
  const cell = 2 ** level * scale;
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const [top, left] = [Math.floor((y * scale) / cell), Math.floor((x * scale) / cell)];
  const colours = { own: resolve('--accent'), other: resolve('--warn'), both: resolve('--ink') };
  for (let r = top; r < rows && r * cell - y * scale < height; r++)
    for (let k = left; k < columns && k * cell - x * scale < width; k++) {
      const mine = counts[r * columns + k]!;
      const theirs = over?.counts[r * over.columns + k] ?? 0;
      if (!mine && !theirs) continue;
      // Shade is density; a lone weight among many cells must still be seen.
      c.globalAlpha = 0.35 + 0.65 * Math.min(1, Math.max(mine, theirs) / most);
      c.fillStyle = mine && theirs ? colours.both : mine ? colours.own : colours.other;
      c.fillRect(
        k * cell - x * scale,
        r * cell - y * scale,
        Math.max(1, cell - (cell > 4 ? 1 : 0)),
        Math.max(1, cell - (cell > 4 ? 1 : 0)),
      );
    }
  c.globalAlpha = 1;
  if (!marked) return;
  c.strokeStyle = resolve('--ink');
  c.lineWidth = 2;
  c.setLineDash([4, 3]);
  c.strokeRect(
    (marked.left - x) * scale,
    (marked.top - y) * scale,
    (marked.right - marked.left) * scale,
    (marked.bottom - marked.top) * scale,
  );
}
