import type { Files } from '../session/ports.ts';

/** A file of a download: what the hub tells of it, and what has been seen. Unknown is null. */
export interface DownloadFile {
  readonly path: string;
  readonly size: number | null;
  readonly sha256: string | null;
  readonly gitSha1: string | null;
  /** ETag under which its first bytes came. */
  readonly etag: string | null;
  /** SHA-256 of what is stored, once it is whole and right. */
  readonly done: string | null;
}

/** A download as it is kept beside its files, so that it can go on after the page was closed. Holds no token. */
export interface DownloadState {
  readonly version: 1;
  readonly hub: string;
  readonly id: string;
  /** As it was asked for. */
  readonly revision: string;
  readonly commit: string;
  readonly files: readonly DownloadFile[];
}

/** Where the state of a download lies among its files. */
export const stateFile = 'download.json';

/** The state of a download under a folder's prefix; null where there is none that can be read. */
export async function readState(files: Files, folder: string): Promise<DownloadState | null> {
  const bytes = await files.read(`${folder}${stateFile}`);
  if (!bytes) return null;
  try {
    const state = JSON.parse(new TextDecoder().decode(bytes)) as DownloadState;
    return state.version === 1 && Array.isArray(state.files) && typeof state.commit === 'string'
      ? state
      : null;
  } catch {
    return null;
  }
}

export async function writeState(files: Files, folder: string, state: DownloadState): Promise<void> {
  await files.write(`${folder}${stateFile}`, new TextEncoder().encode(JSON.stringify(state)));
}

/** Whether every file is whole and right. */
export const isWhole = ({ files }: DownloadState): boolean => files.every(({ done }) => done !== null);
