import { useState } from 'react';
import type { BackboneCard, ModuleCard } from '../../../models/describe.ts';
import { learnsClasses, useData } from '../../stores/data.ts';
import { lightsModule, litModule, pinModule, useHover } from '../../stores/hover.ts';
import { usePlan } from '../../stores/plan.ts';
import { compact } from '../../text/format.ts';
import { isTarget, weights } from '../../text/targets.ts';
import styles from './backbone.module.css';

interface Props {
  backbone: BackboneCard;
  targets: readonly string[];
  /** Makes each module a switch. */
  onToggle?: (path: string) => void;
}

/** Modules grouped by block, in network order. */
export function byBlock(backbone: BackboneCard): { block: number; modules: ModuleCard[] }[] {
  const groups: { block: number; modules: ModuleCard[] }[] = [];
  for (const module of backbone.modules) {
    const last = groups.at(-1);
    if (last?.block === module.block) last.modules.push(module);
    else groups.push({ block: module.block, modules: [module] });
  }
  return groups;
}

/** The backbone from input to output: a column a block, a box a module, its height by its weights (log). */
export function Network({ backbone, targets, onToggle }: Props) {
  const groups = byBlock(backbone);
  const logs = backbone.modules.map((m) => Math.log2(weights(m)));
  const [low, high] = [Math.min(...logs), Math.max(...logs)];
  const height = (m: ModuleCard) =>
    8 + Math.round((20 * (Math.log2(weights(m)) - low)) / Math.max(1, high - low));
  const id = usePlan((s) => s.dataset);
  // A language model keeps the head it came with.
  const head = useData((s) => {
    const dataset = s.datasets.find((d) => d.id === id);
    return !dataset || learnsClasses(dataset);
  });
  return (
    <figure className={styles['network']}>
      <fieldset
        className={styles['strip']}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard.
        tabIndex={0}
        aria-label={`Modules of ${backbone.title}`}
      >
        {groups.map((group) => (
          <div className={styles['block']} key={`${group.block}/${group.modules[0]!.path}`}>
            {group.modules.map((module) => (
              <Box
                key={module.path}
                module={module}
                height={height(module)}
                learning={isTarget(module, targets)}
                onToggle={onToggle}
              />
            ))}
            <span className={styles['blockName']} aria-hidden="true">
              {blockName(group.block, backbone.blocks)}
            </span>
          </div>
        ))}
        {head && (
          <div className={styles['block']}>
            <span className={styles['headBox']} title="The new head, which always learns" />
            <span className={styles['blockName']} aria-hidden="true">
              head
            </span>
          </div>
        )}
      </fieldset>
      <Caption backbone={backbone} targets={targets} head={head} />
    </figure>
  );
}

const blockName = (block: number, blocks: number): string =>
  block < 0 ? 'in' : block >= blocks ? 'out' : String(block);

interface BoxProps {
  module: ModuleCard;
  height: number;
  learning: boolean;
  onToggle?: ((path: string) => void) | undefined;
}

function Box({ module, height, learning, onToggle }: BoxProps) {
  const lit = useHover((s) => litModule(s) === module.path);
  const [pressed, setPressed] = useState(false);
  const press = () => {
    setPressed(true);
    if (onToggle) onToggle(module.path);
    else pinModule(module.path);
  };
  return (
    <button
      type="button"
      className={styles['box']}
      style={{ height }}
      data-learning={learning || undefined}
      data-lit={lit || undefined}
      data-kind={module.kind}
      aria-pressed={onToggle ? learning : undefined}
      aria-label={`${module.path}, ${learning ? 'learns' : 'frozen'}`}
      tabIndex={onToggle || pressed ? 0 : -1}
      onClick={press}
      {...lightsModule(module.path)}
    />
  );
}

/** What is pointed at; a fixed line so that nothing moves. */
function Caption({
  backbone,
  targets,
  head,
}: {
  backbone: BackboneCard;
  targets: readonly string[];
  head: boolean;
}) {
  const path = useHover(litModule);
  const module = backbone.modules.find((m) => m.path === path);
  return (
    <figcaption className={styles['caption']}>
      {module ? (
        <>
          <code>{module.path}</code>
          <span>
            {module.kind === 'linear' ? 'linear' : 'convolution'} {module.shape.join(' × ')},{' '}
            {compact(weights(module))} weights,{' '}
            {isTarget(module, targets) ? 'frozen, with an adapter beside it' : 'frozen'}
          </span>
        </>
      ) : (
        <>
          <span className={styles['key']}>
            <i data-look="frozen" /> frozen
          </span>
          <span className={styles['key']}>
            <i data-look="learning" /> an adapter learns beside it
          </span>
          {head && (
            <span className={styles['key']}>
              <i data-look="head" /> learns whole
            </span>
          )}
        </>
      )}
    </figcaption>
  );
}
