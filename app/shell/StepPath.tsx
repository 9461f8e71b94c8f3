import { useData } from '../stores/data.ts';
import { useMachine } from '../stores/machine.ts';
import { backboneOf, methodOf, settingsOf, usePlan } from '../stores/plan.ts';
import { selectedRun, useRuns } from '../stores/runs.ts';
import { go, STEPS, type Step, useView } from '../stores/view.ts';
import { percent } from '../text/format.ts';
import { stateWord } from '../text/runState.ts';
import styles from './shell.module.css';

const NAMES: Record<Step, string> = {
  data: 'Data',
  backbone: 'Backbone',
  method: 'Method',
  train: 'Train',
  result: 'Result',
};

/** What stands chosen at each step, in a word or two. */
function useSubtitles(): Record<Step, string> {
  const plan = usePlan();
  const catalogue = useMachine((s) => s.catalogue);
  const dataset = useData((s) => s.datasets.find((d) => d.id === plan.dataset));
  const run = useRuns(selectedRun);
  const rank = settingsOf(plan)['r'];
  const method = methodOf(catalogue, plan.method);
  const moving = run?.state === 'running' || run?.state === 'preparing' || run?.state === 'paused';
  const share = run && run.progress.total > 0 ? run.progress.done / run.progress.total : 0;
  const score = run?.test ?? run?.best;
  return {
    data: dataset?.name ?? 'none yet',
    backbone: backboneOf(catalogue, plan.backbone)?.title ?? '…',
    method: method
      ? `${method.title}${typeof rank === 'number' && method.id === 'lora' ? `, rank ${rank}` : ''}`
      : '…',
    train: run
      ? moving
        ? `${stateWord(run.state)} ${percent(share, 0)}`
        : stateWord(run.state)
      : 'not started',
    result: score ? percent(score.accuracy) : 'none yet',
  };
}

export function StepPath() {
  const place = useView((s) => s.place);
  const subtitles = useSubtitles();
  const live = useRuns((s) => selectedRun(s)?.state === 'running');
  return (
    <nav className={styles['path']} aria-label="Steps">
      <ol>
        {STEPS.map((step, index) => (
          <li key={step}>
            <button
              type="button"
              className={styles['step']}
              aria-current={place === step ? 'step' : undefined}
              data-live={step === 'train' && live ? '' : undefined}
              data-testid={`step-${step}`}
              onClick={() => go(step)}
            >
              <span className={styles['stepNumber']} aria-hidden="true">
                {index + 1}
              </span>
              <span className={styles['stepName']}>{NAMES[step]}</span>
              <span className={styles['stepNow']}>{subtitles[step]}</span>
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}
