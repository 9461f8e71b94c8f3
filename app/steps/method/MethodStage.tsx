import type { BackboneCard, MethodCard, Setting } from '../../../models/describe.ts';
import { Segments } from '../../parts/Inputs.tsx';
import parts from '../../parts/parts.module.css';
import { trains, useMachine } from '../../stores/machine.ts';
import { backboneOf, choose, formOf, methodOf, settingsOf, turn, usePlan } from '../../stores/plan.ts';
import { plural } from '../../text/format.ts';
import { presetOf, targeted, toggleTarget } from '../../text/targets.ts';
import { Network } from '../backbone/Network.tsx';
import { Formula } from './Formula.tsx';
import { MethodPicture } from './MethodPicture.tsx';
import styles from './method.module.css';

export function MethodStage() {
  const { catalogue, machine } = useMachine();
  const plan = usePlan();
  const backbone = backboneOf(catalogue, plan.backbone);
  const method = methodOf(catalogue, plan.method);
  // Of this very plan where it works out, else of the method on a small transformer.
  const picture = plan.estimate?.picture ?? method?.picture;
  const modules = formOf(catalogue, plan).find((s) => s.kind === 'modules');
  return (
    <div className={styles['stage']}>
      <h1>Method</h1>
      {!catalogue && <p className={styles['quiet']}>The engine is opening; its methods appear here.</p>}
      <ul className={styles['methods']}>
        {catalogue?.methods.map((m) => (
          <MethodLine key={m.id} method={m} chosen={m.id === plan.method} possible={trains(machine, m.id)} />
        ))}
      </ul>
      {backbone && method && modules && <Modules backbone={backbone} setting={modules} />}
      {backbone && method && !modules && <Places backbone={backbone} method={method} />}
      {picture && <MethodPicture picture={picture} />}
    </div>
  );
}

function MethodLine({
  method,
  chosen,
  possible,
}: {
  method: MethodCard;
  chosen: boolean;
  possible: boolean;
}) {
  return (
    <li>
      <label className={styles['method']} data-off={!possible || undefined}>
        <input
          type="radio"
          name="method"
          value={method.id}
          checked={chosen}
          disabled={!possible}
          data-testid={`method-${method.id}`}
          onChange={() => choose({ method: method.id })}
        />
        <span>
          <strong>{method.title}</strong>
          <span>{method.about}</span>
          {!possible && <em>Needs WebGPU.</em>}
        </span>
      </label>
      {method.picture && method.picture.terms.length > 0 && (
        <span className={styles['glance']}>
          <Formula terms={method.picture.terms} side={28} />
        </span>
      )}
      {method.paper && (
        <a href={method.paper.url} target="_blank" rel="noreferrer">
          {method.paper.title}, {method.paper.year}
        </a>
      )}
    </li>
  );
}

/** Where the method attaches: presets, and the drawing as a picker. */
function Modules({ backbone, setting }: { backbone: BackboneCard; setting: Setting }) {
  const plan = usePlan();
  const settings = settingsOf(plan);
  const value = settings[setting.key];
  const targets = Array.isArray(value) ? value : [];
  const chosen = targeted(backbone, targets);
  const preset = presetOf(backbone, targets);
  return (
    <section className={styles['modules']} aria-label={setting.label}>
      <div className={styles['head']}>
        <h2>{setting.label}</h2>
        <span data-testid="target-count">
          {chosen.length} of {backbone.modules.length}
        </span>
        <Presets
          backbone={backbone}
          chosen={preset?.id ?? ''}
          onChoose={(targets) => turn(setting.key, targets)}
        />
      </div>
      <p className={styles['quiet']}>
        Click a module to add or leave it. {chosen.length === 0 && 'With none, only the head learns.'}
      </p>
      <Network
        backbone={backbone}
        targets={targets}
        onToggle={(path) => turn(setting.key, toggleTarget(backbone, targets, path))}
      />
      <Names backbone={backbone} setting={setting} targets={targets} />
    </section>
  );
}

const SHORT = 48;

interface PresetsProps {
  backbone: BackboneCard;
  chosen: string;
  onChoose: (targets: string[]) => void;
}

/** Side by side while their names are short, a list otherwise. */
function Presets({ backbone, chosen, onChoose }: PresetsProps) {
  const options = backbone.presets.map((p) => ({ value: p.id, label: p.label }));
  const choose = (id: string) => {
    const preset = backbone.presets.find((p) => p.id === id);
    if (preset) onChoose(preset.targets);
  };
  if (options.reduce((sum, o) => sum + o.label.length, 0) <= SHORT)
    return <Segments label="Presets" value={chosen} options={options} onChange={choose} />;
  return (
    <select
      className={parts['field']}
      aria-label="Presets"
      value={chosen}
      onChange={(event) => choose(event.target.value)}
    >
      {chosen === '' && <option value="">Own choice</option>}
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}

/** The same choice by name: one switch for every module that ends alike, for keyboard and for speed. */
function Names({
  backbone,
  setting,
  targets,
}: {
  backbone: BackboneCard;
  setting: Setting;
  targets: readonly string[];
}) {
  const endings = new Map<string, string[]>();
  for (const module of backbone.modules) {
    const ending = module.path.split('.').at(-1)!;
    endings.set(ending, [...(endings.get(ending) ?? []), module.path]);
  }
  const chosen = new Set(targeted(backbone, targets).map((m) => m.path));
  const set = (paths: string[], on: boolean) => {
    const next = new Set(chosen);
    for (const path of paths) {
      if (on) next.add(path);
      else next.delete(path);
    }
    turn(
      setting.key,
      backbone.modules.filter((m) => next.has(m.path)).map((m) => m.path),
    );
  };
  return (
    <ul className={styles['names']}>
      {[...endings].map(([ending, paths]) => {
        const on = paths.filter((path) => chosen.has(path)).length;
        return (
          <li key={ending}>
            <label>
              <input
                type="checkbox"
                checked={on === paths.length}
                ref={(box) => {
                  if (box) box.indeterminate = on > 0 && on < paths.length;
                }}
                onChange={(event) => set(paths, event.target.checked)}
              />
              <code>{ending}</code>
              <small>
                {on} of {paths.length}
              </small>
            </label>
          </li>
        );
      })}
    </ul>
  );
}

/** What learns, for a method that chooses its places itself. */
function Places({ backbone, method }: { backbone: BackboneCard; method: MethodCard }) {
  const places = usePlan((s) => s.estimate?.targets) ?? [];
  const error = usePlan((s) => s.error);
  // Without a setting of its own a method adds nothing to the backbone.
  const headOnly = method.settings.length === 0;
  const sentence = headOnly
    ? `${method.title} reads what ${backbone.title} puts out and changes nothing inside it.`
    : error
      ? error.message
      : places.length
        ? `${method.title} adds to ${plural(places.length, 'place')} of ${backbone.title}, from ${places[0]} to ${places.at(-1)}. The weights drawn here stay frozen.`
        : `${method.title} adds to what the blocks of ${backbone.title} read. The weights drawn here stay frozen.`;
  return (
    <section className={styles['modules']} aria-label="What learns">
      <h2>
        {headOnly ? 'Only a new head learns' : error ? 'It does not fit this backbone' : 'Where it adds'}
      </h2>
      <p className={styles['quiet']}>{sentence}</p>
      <Network backbone={backbone} targets={[]} />
    </section>
  );
}
