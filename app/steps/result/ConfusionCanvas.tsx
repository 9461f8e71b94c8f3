import { useEffect, useRef } from 'react';
import type { Report } from '../../../workers/protocol.ts';
import { litClass, useHover } from '../../stores/hover.ts';
import { ramp } from '../../text/colour.ts';
import styles from './result.module.css';

interface Props {
  report: Report;
  onCell: (cell: [number, number] | null) => void;
}

/** The matrix of many classes as a picture: one pixel a cell, scaled up without smoothing. */
export function ConfusionCanvas({ report, onCell }: Props) {
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const lit = useHover(litClass);
  const size = report.classes.length;
  const row = report.classes.findIndex((c) => c.name === lit);
  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const image = context.createImageData(size, size);
    report.confusion.forEach((counts, actual) => {
      const total = counts.reduce((a, b) => a + b, 0) || 1;
      counts.forEach((n, predicted) => {
        image.data.set([...ramp(n / total), 255], (actual * size + predicted) * 4);
      });
    });
    context.putImageData(image, 0, 0);
  }, [report, size]);
  const cellAt = (event: React.PointerEvent<HTMLCanvasElement>): [number, number] => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = (at: number, length: number) =>
      Math.min(size - 1, Math.max(0, Math.floor((at / length) * size)));
    return [place(event.clientY - box.top, box.height), place(event.clientX - box.left, box.width)];
  };
  return (
    <div className={styles['canvasFrame']} data-testid="confusion">
      <canvas
        ref={canvas}
        width={size}
        height={size}
        role="img"
        aria-label={`Confusion of ${size} classes; the table beside it has each class's figures`}
        onPointerMove={(event) => {
          const cell = cellAt(event);
          onCell(cell);
          useHover.setState({ className: report.classes[cell[0]]!.name });
        }}
        onPointerLeave={() => {
          onCell(null);
          useHover.setState({ className: null });
        }}
      />
      {row >= 0 && (
        <i style={{ top: `${(row / size) * 100}%`, height: `${100 / size}%` }} aria-hidden="true" />
      )}
    </div>
  );
}
