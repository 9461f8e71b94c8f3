import { create } from 'zustand';
import type { Written } from '../../workers/protocol.ts';

/** Texts that runs have written on, as they grow; gone with the page. */
export const useWriting = create<{ written: Record<string, Written> }>()(() => ({ written: {} }));

export function putWritten(run: string, written: Written): void {
  useWriting.setState(({ written: all }) => ({ written: { ...all, [run]: written } }));
}
