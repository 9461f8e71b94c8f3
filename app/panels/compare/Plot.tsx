import { Download } from 'lucide-react';
import { type ReactNode, useRef } from 'react';
import { IconButton } from '../../parts/Button.tsx';
import { useWidth } from '../../parts/hooks.ts';
import { Menu } from '../../parts/Overlays.tsx';
import { save } from '../../parts/save.ts';
import { saveSvgPng, svgText } from '../../parts/svgFile.ts';
import type { Axis } from './axis.ts';
import styles from './compare.module.css';

const EDGE = { left: 56, right: 24, top: 12, bottom: 40 };
const HEIGHT = 248;

export interface Frame {
  px(value: number): number;
  py(value: number): number;
}

interface Props {
  title: string;
  /** The chart in a sentence, for those who do not see it. */
  label: string;
  fileName: string;
  /** Choices beside the title. */
  controls?: ReactNode;
  /** The choices say what the title would. */
  titled?: boolean;
  x: { axis: Axis; title: string; words(value: number): string };
  y: { axis: Axis; title: string; words(value: number): string };
  csv(): string;
  /** Stands in place of the drawing where there is nothing to draw. */
  empty?: string | null;
  children(frame: Frame): ReactNode;
}

/** A drawing between two axes, with its files. Everything in it is coloured by attributes, so that it saves as it is. */
export function Plot({ title, label, fileName, controls, titled, x, y, csv, empty, children }: Props) {
  const [host, width] = useWidth();
  const svg = useRef<SVGSVGElement | null>(null);
  const frame: Frame = {
    px: (value) => EDGE.left + x.axis.place(value) * (width - EDGE.left - EDGE.right),
    py: (value) => HEIGHT - EDGE.bottom - y.axis.place(value) * (HEIGHT - EDGE.top - EDGE.bottom),
  };
  return (
    <figure className={styles['plot']}>
      <figcaption>
        {!titled && <h3>{title}</h3>}
        {controls}
        <Menu
          label={`Save ${title}`}
          trigger={
            <IconButton small label={`Save ${title} as a file`}>
              <Download aria-hidden />
            </IconButton>
          }
          entries={[
            { label: 'Numbers as CSV', perform: () => save(`${fileName}.csv`, csv(), 'text/csv') },
            {
              label: 'Picture as SVG',
              disabled: Boolean(empty),
              perform: () => svg.current && save(`${fileName}.svg`, svgText(svg.current), 'image/svg+xml'),
            },
            {
              label: 'Picture as PNG',
              disabled: Boolean(empty),
              perform: () => svg.current && void saveSvgPng(svg.current, `${fileName}.png`),
            },
          ]}
        />
      </figcaption>
      <div ref={host} style={{ height: HEIGHT }}>
        {empty && <p className={styles['none']}>{empty}</p>}
        {!empty && width > 0 && (
          // biome-ignore lint/a11y/useSemanticElements: a drawing whose parts answer is a group, and no form's.
          <svg ref={svg} width={width} height={HEIGHT} fontSize={12} role="group" aria-label={label}>
            <Axes x={x} y={y} frame={frame} width={width} />
            {children(frame)}
          </svg>
        )}
      </div>
    </figure>
  );
}

function Axes({ x, y, frame, width }: Pick<Props, 'x' | 'y'> & { frame: Frame; width: number }) {
  const right = width - EDGE.right;
  const base = HEIGHT - EDGE.bottom;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a group of a drawing takes no focus.
    <g fill="var(--ink-3)" aria-hidden="true">
      {y.axis.ticks.map((tick) => (
        <g key={tick}>
          <path d={`M${EDGE.left} ${frame.py(tick)}H${right}`} stroke="var(--line)" />
          <text x={EDGE.left - 8} y={frame.py(tick) + 4} textAnchor="end">
            {y.words(tick)}
          </text>
        </g>
      ))}
      <path d={`M${EDGE.left} ${base}H${right}`} stroke="var(--line-2)" />
      {x.axis.ticks.map((tick) => (
        <g key={tick}>
          <path d={`M${frame.px(tick)} ${base}v4`} stroke="var(--line-2)" />
          <text x={frame.px(tick)} y={base + 17} textAnchor="middle">
            {x.words(tick)}
          </text>
        </g>
      ))}
      <text x={right} y={base + 34} textAnchor="end" fill="var(--ink-2)">
        {x.title}
      </text>
    </g>
  );
}
