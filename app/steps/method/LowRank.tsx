import type { ModuleCard } from '../../../models/describe.ts';
import { compact, percent } from '../../text/format.ts';
import { weights } from '../../text/targets.ts';
import styles from './method.module.css';

const SIDE = 132;

/** One module drawn to scale: the frozen weight in grey, the two factors that learn in the accent. */
export function LowRank({ module, rank }: { module: ModuleCard; rank: number }) {
  const outputs = module.shape[0]!;
  const inputs = weights(module) / outputs;
  const scale = SIDE / Math.max(outputs, inputs);
  const [w, h] = [Math.max(6, inputs * scale), Math.max(6, outputs * scale)];
  const thin = Math.min(SIDE, Math.max(2, rank * scale));
  const learned = rank * (inputs + outputs);
  const width = w + thin + w + 96;
  // Drawn from the weight's own top, so that a wide, flat one leaves no empty ground above it.
  const base = Math.max(h, thin);
  return (
    <section className={styles['lowRank']} aria-label="The update">
      <h2>What it learns there</h2>
      <svg
        viewBox={`0 0 ${width} ${base + 28}`}
        width={width}
        height={base + 28}
        role="img"
        aria-label={`A ${outputs} by ${inputs} weight and two factors of rank ${rank}`}
      >
        <rect x="0" y={base - h} width={w} height={h} fill="var(--frozen-2)" />
        <text x={w + 24} y={base - h / 2 + 5} textAnchor="middle">
          +
        </text>
        <rect x={w + 48} y={base - h} width={thin} height={h} fill="var(--accent)" />
        <text x={w + 60 + thin} y={base - h / 2 + 5} textAnchor="middle">
          ·
        </text>
        <rect x={w + 72 + thin} y={base - h} width={w} height={thin} fill="var(--accent)" />
        <text x="0" y={base + 20}>
          W
        </text>
        <text x={w + 48} y={base + 20}>
          B
        </text>
        <text x={w + 72 + thin} y={base + 20}>
          A
        </text>
      </svg>
      <p className={styles['quiet']}>
        <code>{module.path}</code> keeps its {compact(outputs * inputs)} weights. Its update is B·A of rank{' '}
        {rank}: {compact(learned)} numbers, {percent(learned / (outputs * inputs))} of it, drawn to scale.
      </p>
    </section>
  );
}
