import { Copy, Download } from 'lucide-react';
import { useState } from 'react';
import type { RunView } from '../../../workers/protocol.ts';
import styles from '../../inspector/inspector.module.css';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { Switch } from '../../parts/Inputs.tsx';
import { isProbe, useMachine } from '../../stores/machine.ts';
import { backboneOf, methodOf } from '../../stores/plan.ts';
import { check, hasResult, selectedRun, useRuns } from '../../stores/runs.ts';
import { bytes, percent, plural } from '../../text/format.ts';
import { downloadAdapter, downloadElsewhere, downloadModel, downloadOnnx, useDownload } from './download.ts';

/** What can be carried off: the adapter's zip, the lines that load it, and the proof that the numbers are right. */
export function TakeAway() {
  const run = useRuns(selectedRun);
  if (!run || !hasResult(run))
    return (
      <div className={styles['take']}>
        <section>
          <h2>Take away</h2>
          <p>When a run is done, its adapter can be downloaded here.</p>
        </section>
      </div>
    );
  return (
    <div className={styles['take']}>
      <Adapter run={run} />
      {!run.headless && <WholeModel run={run} />}
      {!run.headless && <Elsewhere run={run} />}
      <Lines run={run} />
      <Check run={run} />
    </div>
  );
}

function Adapter({ run }: { run: RunView }) {
  const { withBase, busy, last, error } = useDownload();
  const backbone = useMachine((s) => backboneOf(s.catalogue, run.plan.backbone));
  return (
    <section aria-label="Adapter">
      <h2>Adapter</h2>
      <p>
        A zip that PEFT loads: weights, config, model card, label map and preprocessing. Drop it here to open
        it again.
      </p>
      <div className={styles['option']}>
        <span id="with-base">With the frozen backbone{backbone && ` (+${bytes(backbone.bytes)})`}</span>
        <Switch
          label="With the frozen backbone"
          checked={withBase}
          testId="with-base"
          onChange={(on) => useDownload.setState({ withBase: on })}
        />
      </div>
      <Button
        look="primary"
        size="big"
        wide
        data-testid="download"
        disabled={busy !== null}
        onClick={() => void downloadAdapter(run.id)}
      >
        <Download aria-hidden /> {busy === 'adapter' ? 'Writing the zip' : 'Download'}
      </Button>
      <p style={{ minHeight: 20 }} role="status">
        {last?.what === 'adapter' && `${last.name}, ${bytes(last.bytes)}`}
      </p>
      {error?.what === 'adapter' && <ErrorNote error={error} />}
    </section>
  );
}

function WholeModel({ run }: { run: RunView }) {
  const { busy, last, error } = useDownload();
  const unmergeable = useMachine((s) => methodOf(s.catalogue, run.plan.method)?.unmergeable !== undefined);
  return (
    <section aria-label="Whole model">
      <h2>Whole model</h2>
      <p>
        One ONNX file to run anywhere, or the folder that Python opens (config, safetensors): the backbone
        with the adapter merged in and the head, class names and preprocessing with them.
      </p>
      <UseCost run={run} />
      <div className={styles['buttons']}>
        <Button
          data-testid="download-onnx"
          disabled={busy !== null}
          onClick={() => void downloadOnnx(run.id)}
        >
          <Download aria-hidden /> {busy === 'onnx' ? 'Writing the file' : 'Download merged ONNX'}
        </Button>
        <Button
          data-testid="download-model"
          disabled={busy !== null || unmergeable}
          onClick={() => void downloadModel(run.id)}
        >
          <Download aria-hidden /> {busy === 'model' ? 'Writing the zip' : 'Download merged safetensors'}
        </Button>
      </div>
      <p style={{ minHeight: 20 }} role="status">
        {last && isWhole(last.what) && `${last.name}, ${bytes(last.bytes)}`}
      </p>
      {error && isWhole(error.what) && <ErrorNote error={error} />}
    </section>
  );
}

const isWhole = (what: string) => what === 'onnx' || what === 'model';

function Elsewhere({ run }: { run: RunView }) {
  const { busy, last, error } = useDownload();
  // An adapter made elsewhere has no data here to go along.
  if (run.state === 'imported') return null;
  return (
    <section aria-label="Run elsewhere">
      <h2>Run elsewhere</h2>
      <p>
        A folder that repeats this very run on a cluster: a script on PEFT with Accelerate, one for Ray, the
        starting adapter, every step’s samples and the hashes of the data. What it makes opens here by drop.
      </p>
      <Button
        data-testid="download-elsewhere"
        disabled={busy !== null}
        onClick={() => void downloadElsewhere(run.id)}
      >
        <Download aria-hidden /> {busy === 'elsewhere' ? 'Writing the folder' : 'Download the folder'}
      </Button>
      <p style={{ minHeight: 20 }} role="status">
        {last?.what === 'elsewhere' && `${last.name}, ${bytes(last.bytes)}`}
      </p>
      {error?.what === 'elsewhere' && <ErrorNote error={error} />}
    </section>
  );
}

/** What the adapter costs at every use, and why. */
function UseCost({ run }: { run: RunView }) {
  const why = useMachine((s) => methodOf(s.catalogue, run.plan.method)?.unmergeable);
  const { extraUse } = run.figures;
  if (!why)
    return <p data-testid="use-cost">Merged, it costs nothing more at use than the backbone alone.</p>;
  return (
    <p data-testid="use-cost">
      {why}{' '}
      {typeof extraUse === 'number' && `It adds ${percent(extraUse)} to the operations of the backbone. `}
      The ONNX file keeps it beside the weights.
    </p>
  );
}

function Lines({ run }: { run: RunView }) {
  const [copied, setCopied] = useState(false);
  if (isProbe(run.plan.method)) return null;
  const text = [
    'from peft import PeftModel',
    '# base: the model the card names',
    'model = PeftModel.from_pretrained(',
    '    base, "unzipped-folder")',
    'model.eval()',
  ].join('\n');
  return (
    <section aria-label="Load it in Python">
      <div className={styles['option']}>
        <h2>Load it in Python</h2>
        <Button
          size="small"
          onClick={() => {
            void navigator.clipboard.writeText(text).then(() => setCopied(true));
            setTimeout(() => setCopied(false), 2000);
          }}
        >
          <Copy aria-hidden /> {copied ? 'Copied' : 'Copy'}
        </Button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, so it must take the keyboard. */}
      <pre tabIndex={0}>{text}</pre>
      <p>The card in the zip has the whole of it for this backbone.</p>
    </section>
  );
}

function Check({ run }: { run: RunView }) {
  const found = useRuns((s) => s.checks[run.plan.backbone]);
  const busy = found === 'running';
  return (
    <section aria-label="Check">
      <h2>Check the numbers</h2>
      <p>Runs the same pictures through ONNX Runtime and compares the backbone’s logits with ours.</p>
      <div>
        <Button data-testid="check" disabled={busy} onClick={() => void check(run.plan.backbone)}>
          {busy ? 'Comparing' : 'Check'}
        </Button>
      </div>
      <div role="status" style={{ minHeight: 20 }}>
        {found && !busy && 'passed' in found && (
          <p data-testid="check-result" data-passed={found.passed}>
            {found.passed ? 'They agree' : 'They differ'}: largest relative difference{' '}
            {found.maxRelativeError.toExponential(1)} on {plural(found.samples, 'picture')}, allowed{' '}
            {found.tolerance.toExponential(0)}.
          </p>
        )}
      </div>
      {found && !busy && 'message' in found && <ErrorNote error={found} />}
    </section>
  );
}
