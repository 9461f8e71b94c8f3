import { useId } from 'react';
import type { PictureTerm } from '../../../models/describe.ts';

type Tensor = Extract<PictureTerm, { kind: 'tensor' }>;

const COLOURS = { frozen: 'var(--frozen-2)', learns: 'var(--accent)', given: 'var(--frozen-3)' } as const;
const WORDS = { frozen: 'frozen', learns: 'learns', given: 'given' } as const;

interface Placed {
  term: PictureTerm;
  x: number;
  width: number;
  height: number;
}

interface Props {
  terms: readonly PictureTerm[];
  /** Pixels of the longest side of any matrix. */
  side: number;
  /** Names under the things, and room between them. */
  named?: boolean;
}

/** What a method computes at one place: matrices to scale, grey what is frozen, in the accent what learns. */
export function Formula({ terms, side, named = false }: Props) {
  const pattern = useId();
  const longest = Math.max(1, ...terms.flatMap((t) => (t.kind === 'tensor' ? [t.rows, t.columns] : [])));
  const scale = side / longest;
  const gap = named ? 10 : 4;
  const letter = named ? 13 : 10;
  const placed: Placed[] = [];
  let x = 0;
  for (const term of terms) {
    const [width, height] = sizeOf(term, scale, side, letter);
    placed.push({ term, x, width, height });
    x += width + gap;
  }
  const tall = Math.max(letter + 4, ...placed.map((p) => p.height));
  const total = Math.max(1, x - gap);
  const below = named ? 20 : 0;
  return (
    <svg
      viewBox={`0 0 ${total} ${tall + below}`}
      width={total}
      height={tall + below}
      role="img"
      aria-label={spoken(terms)}
      fontSize={letter}
      fill="var(--ink-2)"
    >
      <defs>
        <pattern id={pattern} width="4" height="4" patternUnits="userSpaceOnUse">
          <path d="M0 4L4 0" stroke="var(--frozen-3)" strokeWidth="1" />
        </pattern>
      </defs>
      {placed.map(({ term, x, width, height }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a formula's parts are known by their place.
        <g key={i} transform={`translate(${x} ${(tall - height) / 2})`}>
          {term.kind === 'sign' && (
            <text x={width / 2} y={height / 2 + letter / 3} textAnchor="middle">
              {term.text}
            </text>
          )}
          {term.kind === 'box' && (
            <>
              <rect width={width} height={height} rx="2" fill="var(--frozen-1)" />
              <text x={width / 2} y={height / 2 + letter / 3} textAnchor="middle">
                {term.label}
              </text>
            </>
          )}
          {term.kind === 'tensor' && <Matrix term={term} {...{ width, height, pattern }} />}
          {named && term.kind === 'tensor' && (
            <text x={width / 2} y={(tall + height) / 2 + 16} textAnchor="middle">
              {term.label}
            </text>
          )}
        </g>
      ))}
    </svg>
  );
}

function sizeOf(term: PictureTerm, scale: number, side: number, letter: number): [number, number] {
  if (term.kind === 'sign') return [Math.max(letter * 0.7, term.text.length * letter * 0.56), letter + 4];
  if (term.kind === 'box') return [term.label.length * letter * 0.6 + 12, Math.min(side, letter * 2.6)];
  const least = Math.max(3, side / 32);
  return [Math.max(least, term.columns * scale), Math.max(least, term.rows * scale)];
}

function Matrix({
  term,
  width,
  height,
  pattern,
}: {
  term: Tensor;
  width: number;
  height: number;
  pattern: string;
}) {
  const colour = COLOURS[term.state];
  if (term.drawn === 'whole' || term.drawn === 'square')
    return (
      <>
        <rect width={width} height={height} fill={colour} />
        {term.state === 'given' && (
          <rect width={width} height={height} fill={`url(#${pattern})`} opacity="0.5" />
        )}
      </>
    );
  const share = Math.min(1, term.share ?? 0.02);
  const frame = (
    <rect x="0.5" y="0.5" width={width - 1} height={height - 1} fill="none" stroke="var(--line-2)" />
  );
  if (term.drawn === 'columns') {
    const many = Math.max(2, Math.min(8, Math.round(share * 16)));
    return (
      <>
        {frame}
        {Array.from({ length: many }, (_, i) => (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: columns are known by their place.
            key={i}
            x={((i + 0.5) / many) * (width - 2)}
            width={Math.max(1.5, (share * width) / many)}
            height={height}
            fill={colour}
          />
        ))}
      </>
    );
  }
  const cells = Math.max(6, Math.min(40, Math.round(share * 600)));
  const dot = Math.max(1.5, width / 28);
  return (
    <>
      {frame}
      {Array.from({ length: cells }, (_, i) => (
        <rect
          // biome-ignore lint/suspicious/noArrayIndexKey: entries are known by their place.
          key={i}
          // A lattice of the golden ratio is even and shows no lines.
          x={((i * 0.618034) % 1) * (width - dot)}
          y={((i + 0.5) / cells) * (height - dot)}
          width={dot}
          height={dot}
          fill={colour}
        />
      ))}
    </>
  );
}

const spoken = (terms: readonly PictureTerm[]): string =>
  terms
    .map((t) =>
      t.kind === 'sign'
        ? t.text
        : t.kind === 'box'
          ? t.label
          : `${t.label} (${t.rows} by ${t.columns}, ${WORDS[t.state]})`,
    )
    .join(' ');
