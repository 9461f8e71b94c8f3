import type { BackboneCard, Modality } from '../../../models/describe.ts';
import { useData } from '../../stores/data.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf, choose, formOf, settingsOf, usePlan } from '../../stores/plan.ts';
import { bytes, compact, count } from '../../text/format.ts';
import { Understood } from '../data/Understood.tsx';
import styles from './backbone.module.css';
import { HubForm } from './HubForm.tsx';
import { Network } from './Network.tsx';

export function BackboneStage() {
  const catalogue = useMachine((s) => s.catalogue);
  const plan = usePlan();
  const kind = useData((s) => s.datasets.find((d) => d.id === plan.dataset)?.kind);
  const task = useData((s) => s.datasets.find((d) => d.id === plan.dataset)?.table?.chosen.task);
  const backbone = backboneOf(catalogue, plan.backbone);
  if (!catalogue || !backbone)
    return (
      <div className={styles['stage']}>
        <h1>Backbone</h1>
        <p className={styles['lead']}>The engine is opening; its backbones appear here.</p>
      </div>
    );
  const knob = formOf(catalogue, plan).find((s) => s.kind === 'modules');
  const targets = knob ? settingsOf(plan)[knob.key] : [];
  return (
    <div className={styles['stage']}>
      <Understood kind="backbone" />
      <header>
        <h1>{backbone.title}</h1>
        <p className={styles['lead']}>{backbone.about}</p>
      </header>
      <Network backbone={backbone} targets={Array.isArray(targets) ? targets : []} />
      <Facts backbone={backbone} />
      <section aria-label="Other backbones" className={styles['others']}>
        <h2>{catalogue.backbones.length > 1 ? 'Choose another' : 'Use your own'}</h2>
        {catalogue.backbones.length > 1 && (
          <ul>
            {catalogue.backbones.map((b) => (
              <li key={b.id}>
                <label className={styles['choice']} data-unfit={unfit(b, kind, task) !== null || undefined}>
                  <input
                    type="radio"
                    name="backbone"
                    value={b.id}
                    checked={b.id === backbone.id}
                    disabled={unfit(b, kind, task) !== null && b.id !== backbone.id}
                    onChange={() => choose({ backbone: b.id })}
                    data-testid={`backbone-${b.id}`}
                  />
                  <span>
                    <strong>{b.title}</strong>
                    <small>
                      {compact(b.parameters)} parameters, {bytes(b.bytes)}, {b.size.default} {b.size.unit}
                      {unfit(b, kind, task)}
                    </small>
                  </span>
                </label>
              </li>
            ))}
          </ul>
        )}
        <HubForm />
        <p className={styles['quiet']}>
          Or drop a Hugging Face folder: <code>config.json</code>, the weights as <code>safetensors</code>{' '}
          (shards too) or <code>pytorch_model.bin</code>, and the preprocessor’s or tokenizer’s files; or an
          ONNX file. It stays in this browser; the Machine page lists what is kept.
        </p>
      </section>
    </div>
  );
}

const samples = { image: 'pictures', text: 'texts', audio: 'sounds' } as const;

/** Why a backbone cannot read the chosen data set; null where it can, or where none is chosen. */
function unfit(backbone: BackboneCard, kind: Modality | undefined, task = 'classification'): string | null {
  if (kind !== undefined && backbone.modality !== kind)
    return `; reads ${samples[backbone.modality]}, and the data set holds ${samples[kind]}`;
  if (backbone.tasks.includes(task)) return null;
  return task === 'causal-lm' ? '; does not write texts' : '; does not fill gaps';
}

const reads = { image: 'Reads pictures at', text: 'Reads texts of', audio: 'Reads sounds of' } as const;

function Facts({ backbone }: { backbone: BackboneCard }) {
  const { default: size, min, max, multiple, unit } = backbone.size;
  const rows: [string, string][] = [
    ['Family', backbone.family],
    ['Parameters', count(backbone.parameters)],
    ['File', bytes(backbone.bytes)],
    ['Modules', `${backbone.modules.length} in ${backbone.blocks} blocks`],
    [
      reads[backbone.modality],
      min === max ? `${size} ${unit}` : `${size} ${unit} (${min} to ${max}, in steps of ${multiple})`,
    ],
    ['Source', backbone.source],
    ['Licence', backbone.licence],
  ];
  return (
    <dl className={styles['facts']}>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
