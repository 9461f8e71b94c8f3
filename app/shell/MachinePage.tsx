import { Button } from '../parts/Button.tsx';
import { ErrorNote } from '../parts/ErrorNote.tsx';
import { isProbe, useMachine } from '../stores/machine.ts';
import { choose } from '../stores/plan.ts';
import { go } from '../stores/view.ts';
import { bytes, percent } from '../text/format.ts';
import { StoredBackbones } from './StoredBackbones.tsx';
import styles from './shell.module.css';

const BROWSERS: [string, string, string][] = [
  [
    'Chrome, Edge',
    '113 and later',
    'On by default on Windows, macOS, ChromeOS and Android 12+. On Linux from 144 on recent drivers; before, chrome://flags/#enable-unsafe-webgpu.',
  ],
  [
    'Safari',
    '26 and later',
    'On by default on macOS, iOS, iPadOS and visionOS 26. Before: Settings, Feature Flags, WebGPU.',
  ],
  [
    'Firefox',
    '141 and later',
    'On by default on Windows; on macOS with Apple silicon from 145. Elsewhere: about:config, dom.webgpu.enabled.',
  ],
];

/** What this machine offers, and when WebGPU is missing: what was found, who has it, how to turn it on. */
export function MachinePage() {
  const { machine, lost, status, error } = useMachine();
  return (
    <div className={styles['machine']} data-testid="machine-page">
      <h1>This machine</h1>
      {status === 'failed' && error && <ErrorNote error={error} />}
      {lost && <ErrorNote error={lost.error} tone={lost.recovered ? 'warning' : 'error'} />}
      {machine?.noWebGpu && <NoWebGpu />}
      {machine && status === 'ready' && <StoredBackbones />}
      {machine ? <Found /> : <p className={styles['lead']}>The engine is asking the browser for a device.</p>}
    </div>
  );
}

function NoWebGpu() {
  const machine = useMachine((s) => s.machine)!;
  const probe = useMachine((s) => s.catalogue?.methods.find((m) => isProbe(m.id)));
  return (
    <>
      <ErrorNote error={machine.noWebGpu!} tone="warning" />
      <section>
        <h2>What still works</h2>
        <p className={styles['lead']}>
          Pictures can be opened, and a linear probe trains on the frozen backbone’s features, on the
          processor. Adapters need WebGPU.
        </p>
        {probe && (
          <div>
            <Button
              onClick={() => {
                choose({ method: probe.id });
                go('method');
              }}
            >
              Use the {probe.title.toLowerCase()}
            </Button>
          </div>
        )}
      </section>
      <section>
        <h2>Browsers that have WebGPU</h2>
        <table>
          <thead className="visually-hidden">
            <tr>
              <th>Browser</th>
              <th>Version</th>
              <th>How</th>
            </tr>
          </thead>
          <tbody>
            {BROWSERS.map(([name, version, how]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td style={{ whiteSpace: 'nowrap' }}>{version}</td>
                <td>{how}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p className={styles['lead']}>
          If it should be there: turn hardware acceleration on in the browser’s settings, update the graphics
          driver, and open the page from https or localhost.
        </p>
      </section>
    </>
  );
}

function Found() {
  const machine = useMachine((s) => s.machine)!;
  const { storage, limits } = machine;
  const rows: [string, string][] = [
    ['Runs on', machine.backend === 'webgpu' ? 'WebGPU' : 'WebAssembly, on the processor'],
    ['Adapter', `${machine.adapter || 'none'}${machine.software ? ' (software: slow, but exact)' : ''}`],
    ['Features', machine.features.join(', ') || 'none'],
    ['Largest buffer', limits.maxBufferBytes > 0 ? bytes(limits.maxBufferBytes) : 'none'],
    ['Largest binding', limits.maxBindingBytes > 0 ? bytes(limits.maxBindingBytes) : 'none'],
    ['Isolated', machine.crossOriginIsolated ? 'yes: threads are allowed' : 'no: one thread'],
    [
      'Storage',
      `${bytes(storage.usedBytes)} of ${bytes(storage.quotaBytes)} (${percent(storage.usedBytes / Math.max(1, storage.quotaBytes))})`,
    ],
    ['Kept', storage.persisted ? 'until you remove it' : 'the browser may clear it when space runs short'],
  ];
  return (
    <section>
      <h2>What was found</h2>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name} style={{ display: 'contents' }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
