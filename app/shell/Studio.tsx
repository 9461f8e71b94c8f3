import { Box, Database, History, PanelBottom, SlidersHorizontal, Sprout } from 'lucide-react';
import { useEffect } from 'react';
import { Toaster } from 'sonner';
import { actions, perform, situation } from '../actions/index.ts';
import { actionFor, focusOf } from '../actions/keys.ts';
import { Inspector } from '../inspector/Inspector.tsx';
import { Dock, PanelView } from '../panels/Dock.tsx';
import { Boundary } from '../parts/Boundary.tsx';
import { Button, IconButton } from '../parts/Button.tsx';
import { ErrorNote } from '../parts/ErrorNote.tsx';
import { useMedia } from '../parts/hooks.ts';
import { Sheet } from '../parts/Overlays.tsx';
import { BackboneStage } from '../steps/backbone/BackboneStage.tsx';
import { DataStage } from '../steps/data/DataStage.tsx';
import { MethodStage } from '../steps/method/MethodStage.tsx';
import { ResultStage } from '../steps/result/ResultStage.tsx';
import { TrainStage } from '../steps/train/TrainStage.tsx';
import { useMachine } from '../stores/machine.ts';
import { hasResult, selectedRun, useRuns } from '../stores/runs.ts';
import { applyTheme, go, type Place, useView } from '../stores/view.ts';
import { DropLayer } from './DropLayer.tsx';
import { Header } from './Header.tsx';
import { Library } from './Library.tsx';
import { MachinePage } from './MachinePage.tsx';
import { KeyList, Palette } from './Palette.tsx';
import { StepPath } from './StepPath.tsx';
import styles from './shell.module.css';
import { useTrainBlock } from './useTrainBlock.ts';

const STAGES: Record<Place, () => React.ReactNode> = {
  data: DataStage,
  backbone: BackboneStage,
  method: MethodStage,
  train: TrainStage,
  result: ResultStage,
  machine: MachinePage,
};

const NAMES: Record<Place, string> = {
  data: 'Data',
  backbone: 'Backbone',
  method: 'Method',
  train: 'Train',
  result: 'Result',
  machine: 'This machine',
};

function useShortcuts(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      const { palette, keys, sheet } = useView.getState();
      const action = actionFor(actions, event, focusOf(document.activeElement), situation());
      if (!action || ((palette || keys || sheet !== null) && action.id !== 'palette')) return;
      event.preventDefault();
      void action.perform(situation());
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, []);
}

export function Studio() {
  const wide = useMedia('(min-width: 1200px)');
  const middling = useMedia('(min-width: 900px)');
  const layout = wide ? 'wide' : middling ? 'folded' : 'narrow';
  const theme = useView((s) => s.theme);
  const place = useView((s) => s.place);
  useShortcuts();
  useEffect(() => applyTheme(theme), [theme]);
  const Stage = STAGES[place];
  return (
    <div
      className={styles['studio']}
      style={layout === 'narrow' ? { gridTemplateRows: 'auto 1fr auto' } : undefined}
    >
      <a className={styles['skip']} href="#stage">
        Skip to the stage
      </a>
      <Header narrow={layout === 'narrow'} />
      <div className={styles['middle']} data-layout={layout}>
        {layout !== 'narrow' && (
          <aside className={styles['left']} aria-label="Library">
            {layout === 'wide' ? <Library /> : <Rail />}
          </aside>
        )}
        <div className={styles['centre']}>
          <main
            className={styles['stage']}
            id="stage"
            data-stage
            // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard.
            tabIndex={0}
            aria-label={NAMES[place]}
            key={place}
          >
            <Banner />
            <Boundary name={NAMES[place]}>
              <Stage />
            </Boundary>
          </main>
          {layout !== 'narrow' && (
            <Boundary name="A panel">
              <Dock />
            </Boundary>
          )}
        </div>
        {layout !== 'narrow' && (
          <aside className={styles['right']} aria-label="Inspector">
            <Boundary name="The inspector">
              <Inspector />
            </Boundary>
          </aside>
        )}
      </div>
      {layout === 'narrow' && <BottomBar />}
      <Sheets layout={layout} />
      <Palette />
      <KeyList />
      <DropLayer />
      <Title />
      <Toaster
        position="bottom-center"
        theme={theme}
        offset={layout === 'narrow' ? 128 : 24}
        mobileOffset={{ bottom: 128 }}
        toastOptions={{
          style: {
            fontFamily: 'inherit',
            background: 'var(--raised)',
            color: 'var(--ink)',
            borderColor: 'var(--line)',
          },
        }}
      />
    </div>
  );
}

/** What concerns the whole page stands above the stage, whichever it is. */
function Banner() {
  const { status, error, machine, lost, notice } = useMachine();
  const place = useView((s) => s.place);
  if (place === 'machine') return null;
  if (status === 'failed' && error)
    return (
      <div className={styles['banner']}>
        <ErrorNote error={error}>
          <Button size="small" onClick={() => location.reload()}>
            Reload the page
          </Button>
        </ErrorNote>
      </div>
    );
  if (lost)
    return (
      <div className={styles['banner']} data-testid="device-lost">
        <ErrorNote
          error={lost.error}
          tone={lost.recovered ? 'warning' : 'error'}
          onDismiss={() => useMachine.setState({ lost: null })}
        />
      </div>
    );
  if (notice)
    return (
      <div className={styles['banner']}>
        <ErrorNote error={notice} tone="warning" onDismiss={() => useMachine.setState({ notice: null })} />
      </div>
    );
  if (machine?.noWebGpu)
    return (
      <div className={styles['banner']} data-testid="no-webgpu">
        <ErrorNote
          error={{ ...machine.noWebGpu, advice: 'A linear probe still trains here; adapters need WebGPU.' }}
          tone="warning"
        >
          <Button size="small" onClick={() => go('machine')}>
            How to turn it on
          </Button>
        </ErrorNote>
      </div>
    );
  return null;
}

/** The tab says how far the run is, for those who look at another one. */
function Title() {
  const words = useRuns((s) => {
    const run = selectedRun(s);
    if (run?.state !== 'running' || run.progress.total === 0) return 'Graft';
    return `${Math.floor((run.progress.done / run.progress.total) * 100)} %, ${run.name} · Graft`;
  });
  return <title>{words}</title>;
}

function Rail() {
  const open = () => useView.setState({ sheet: 'library' });
  return (
    <div className={styles['rail']}>
      <IconButton label="Runs" onClick={open}>
        <History aria-hidden />
      </IconButton>
      <IconButton label="Data sets" onClick={open}>
        <Database aria-hidden />
      </IconButton>
      <IconButton label="Adapters" onClick={open}>
        <Sprout aria-hidden />
      </IconButton>
      <IconButton label="Backbones" onClick={open}>
        <Box aria-hidden />
      </IconButton>
    </div>
  );
}

function BottomBar() {
  const block = useTrainBlock();
  const place = useView((s) => s.place);
  const error = useRuns((s) => s.errors['']);
  const run = useRuns(selectedRun);
  const finished = place === 'result' && run !== null && hasResult(run);
  return (
    <div className={styles['bar']}>
      <div className={styles['barActions']}>
        <Button look="plain" onClick={() => useView.setState({ sheet: 'knobs' })} data-testid="open-knobs">
          <SlidersHorizontal aria-hidden /> {place === 'result' ? 'Take away' : 'Knobs'}
        </Button>
        <Button look="plain" onClick={() => useView.setState({ sheet: 'panels' })}>
          <PanelBottom aria-hidden /> Panels
        </Button>
        {finished ? (
          <Button look="primary" size="big" data-testid="download-now" onClick={() => perform('download')}>
            Download
          </Button>
        ) : (
          <Button
            look="primary"
            size="big"
            data-testid="train"
            aria-disabled={block !== null}
            title={block ?? error?.message}
            onClick={() => (block ? useView.setState({ sheet: 'knobs' }) : perform('train'))}
          >
            Train
          </Button>
        )}
      </div>
      <StepPath />
    </div>
  );
}

function Sheets({ layout }: { layout: 'wide' | 'folded' | 'narrow' }) {
  const sheet = useView((s) => s.sheet);
  const close = () => useView.setState({ sheet: null });
  if (layout === 'wide') return null;
  return (
    <>
      <Sheet open={sheet === 'library'} title="Library" onClose={close}>
        <Library />
      </Sheet>
      <Sheet open={sheet === 'knobs' && layout === 'narrow'} title="Inspector" onClose={close}>
        <Inspector sheet />
      </Sheet>
      <Sheet open={sheet === 'panels' && layout === 'narrow'} title="Panels" onClose={close}>
        <PanelView />
      </Sheet>
    </>
  );
}
