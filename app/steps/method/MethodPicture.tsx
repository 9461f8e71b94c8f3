import type { MethodPicture as Picture, PicturePlace } from '../../../models/describe.ts';
import { compact, percent } from '../../text/format.ts';
import { Formula } from './Formula.tsx';
import styles from './method.module.css';

/** Where in a block the method steps in, and what stands there, drawn from what it declares. */
export function MethodPicture({ picture }: { picture: Picture }) {
  const tensors = picture.terms.filter((t) => t.kind === 'tensor');
  const numbers = (state: 'learns' | 'frozen') =>
    tensors.filter((t) => t.state === state).reduce((sum, t) => sum + t.rows * t.columns * (t.share ?? 1), 0);
  const [learned, frozen] = [numbers('learns'), numbers('frozen')];
  return (
    <section className={styles['picture']} aria-label="What it adds" data-testid="method-picture">
      <h2>What it adds there</h2>
      <Block at={picture.at} />
      {picture.terms.length > 0 && (
        <div className={styles['formula']}>
          <Formula terms={picture.terms} side={120} named />
        </div>
      )}
      <p className={styles['quiet']}>
        {picture.path && (
          <>
            <code>{picture.path}</code>:{' '}
          </>
        )}
        {learned > 0 ? (
          <>
            {compact(Math.round(learned))} numbers learn
            {frozen > 0 && `, ${percent(learned / frozen)} of the ${compact(frozen)} frozen ones`}. Green
            learns, grey is frozen; matrices are drawn to scale.
          </>
        ) : (
          'Only the head behind the frozen backbone learns.'
        )}
      </p>
    </section>
  );
}

interface Box {
  label: string;
  /** Places that are in this box. */
  is: PicturePlace[];
  /** Places that are a part of it. */
  inside?: PicturePlace[];
}

const TRANSFORMER: Box[] = [
  { label: 'tokens', is: ['tokens'] },
  { label: 'norm', is: ['norms'], inside: ['biases'] },
  { label: 'attention', is: ['attention'], inside: ['attention weights', 'biases'] },
  { label: 'norm', is: ['norms'], inside: ['biases'] },
  { label: 'MLP', is: ['mlp'], inside: ['mlp weights', 'biases'] },
  { label: 'head', is: ['head'] },
];

const CONVOLUTIONAL: Box[] = [
  { label: 'picture', is: [] },
  { label: 'expand', is: ['block'], inside: ['convolutions', 'biases'] },
  { label: 'depthwise', is: ['block'], inside: ['biases'] },
  { label: 'project', is: ['block'], inside: ['convolutions', 'biases'] },
  { label: 'head', is: ['head'] },
];

const [WIDTH, HEIGHT, GAP] = [76, 34, 18];

/** A block from left to right: an added part stands as a box of its own below, a changed one has a mark inside. */
function Block({ at }: { at: readonly PicturePlace[] }) {
  const convolutional = at.some((p) => p === 'block' || p === 'convolutions');
  const boxes = convolutional ? CONVOLUTIONAL : TRANSFORMER;
  const has = (places: PicturePlace[] = []) => places.some((p) => at.includes(p));
  const width = boxes.length * (WIDTH + GAP) - GAP;
  const beside = boxes.some((b) =>
    has(b.is.filter((p) => p === 'attention' || p === 'mlp' || p === 'block')),
  );
  return (
    <svg
      className={styles['block']}
      viewBox={`0 0 ${width} ${HEIGHT + (beside ? 34 : 6)}`}
      width={width}
      height={HEIGHT + (beside ? 34 : 6)}
      role="img"
      aria-label={`It steps in at: ${at.join(', ')}`}
      fontSize="12"
    >
      <path d={`M0 ${HEIGHT / 2}H${width}`} stroke="var(--line-2)" />
      {boxes.map((box, i) => {
        const x = i * (WIDTH + GAP);
        const added = has(box.is.filter((p) => p === 'attention' || p === 'mlp' || p === 'block'));
        const whole = has(box.is) && !added;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a block's parts are known by their place.
          <g key={i}>
            <rect
              x={x}
              width={WIDTH}
              height={HEIGHT}
              rx="3"
              fill={whole ? 'var(--accent)' : 'var(--frozen-1)'}
            />
            <text
              x={x + WIDTH / 2}
              y={HEIGHT / 2 + 4}
              textAnchor="middle"
              fill={whole ? 'var(--on-accent)' : 'var(--ink-2)'}
            >
              {box.label}
            </text>
            {has(box.inside) && <rect x={x} y={HEIGHT - 5} width={WIDTH} height="5" fill="var(--accent)" />}
            {added && (
              <>
                <path
                  d={`M${x - GAP / 2} ${HEIGHT / 2}V${HEIGHT + 22}H${x + WIDTH + GAP / 2}V${HEIGHT / 2}`}
                  fill="none"
                  stroke="var(--accent)"
                  strokeWidth="1.5"
                />
                <rect x={x + 14} y={HEIGHT + 13} width={WIDTH - 28} height="18" rx="3" fill="var(--accent)" />
              </>
            )}
          </g>
        );
      })}
    </svg>
  );
}
