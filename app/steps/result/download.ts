import { create } from 'zustand';
import type { StudioError } from '../../../workers/protocol.ts';
import { save } from '../../parts/save.ts';
import { asStudioError, engine } from '../../stores/connection.ts';
import { note } from '../../stores/log.ts';

type What = 'adapter' | 'onnx' | 'model' | 'elsewhere';

interface DownloadState {
  withBase: boolean;
  /** What is being written. */
  busy: What | null;
  /** The file that was handed to the browser last. */
  last: { what: What; name: string; bytes: number } | null;
  error: (StudioError & { what: What }) | null;
}

export const useDownload = create<DownloadState>()(() => ({
  withBase: false,
  busy: null,
  last: null,
  error: null,
}));

/** Writes the adapter's zip, cut to lower ranks where they are given, and hands it to the browser. */
export function downloadAdapter(run: string, ranks?: Record<string, number>): Promise<void> {
  return download('adapter', run, async () => {
    const { withBase } = useDownload.getState();
    const { name, zip } = await engine().exportAdapter(run, { withBase, ...(ranks ? { ranks } : {}) });
    return { name, blob: zip };
  });
}

/** Writes the whole model as ONNX and hands it to the browser. */
export function downloadOnnx(run: string): Promise<void> {
  return download('onnx', run, async () => {
    const { name, file, kept } = await engine().exportOnnx(run);
    if (kept) note(`The adapter stays beside the weights in ${name}: ${kept}`, 'info', run);
    return { name, blob: file };
  });
}

/** Writes the whole model as a Hugging Face folder and hands it to the browser. */
export function downloadModel(run: string): Promise<void> {
  return download('model', run, async () => {
    const { name, file } = await engine().exportMerged(run);
    return { name, blob: file };
  });
}

/** Writes the folder that repeats the run on another machine and hands it to the browser. */
export function downloadElsewhere(run: string): Promise<void> {
  return download('elsewhere', run, async () => {
    const { withBase } = useDownload.getState();
    const { name, file } = await engine().exportElsewhere(run, { withBase });
    return { name, blob: file };
  });
}

async function download(
  what: What,
  run: string,
  write: () => Promise<{ name: string; blob: Blob }>,
): Promise<void> {
  if (useDownload.getState().busy) return;
  useDownload.setState({ busy: what, error: null });
  try {
    const { name, blob } = await write();
    save(name, blob);
    useDownload.setState({ busy: null, last: { what, name, bytes: blob.size } });
    note(`Saved ${name}`, 'info', run);
  } catch (thrown) {
    const error = asStudioError(thrown);
    useDownload.setState({ busy: null, error: { ...error, what } });
    note(error.message, 'error', run);
  }
}
