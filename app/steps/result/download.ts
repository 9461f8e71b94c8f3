import { create } from 'zustand';
import type { StudioError } from '../../../workers/protocol.ts';
import { save } from '../../parts/save.ts';
import { asStudioError, engine } from '../../stores/connection.ts';
import { note } from '../../stores/log.ts';

interface DownloadState {
  withBase: boolean;
  busy: boolean;
  /** The name and bytes of the last file that was handed to the browser. */
  last: { name: string; bytes: number } | null;
  error: StudioError | null;
}

export const useDownload = create<DownloadState>()(() => ({
  withBase: false,
  busy: false,
  last: null,
  error: null,
}));

/** Writes the adapter's zip and hands it to the browser. */
export async function downloadAdapter(run: string): Promise<void> {
  if (useDownload.getState().busy) return;
  useDownload.setState({ busy: true, error: null });
  try {
    const { name, zip } = await engine().exportAdapter(run, { withBase: useDownload.getState().withBase });
    save(name, zip);
    useDownload.setState({ busy: false, last: { name, bytes: zip.size } });
    note(`Saved ${name}`, 'info', run);
  } catch (thrown) {
    const error = asStudioError(thrown);
    useDownload.setState({ busy: false, error });
    note(error.message, 'error', run);
  }
}
