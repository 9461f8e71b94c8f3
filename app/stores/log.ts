import { create } from 'zustand';

export interface LogLine {
  id: number;
  at: number;
  kind: 'info' | 'warning' | 'error';
  /** The run it belongs to, if it belongs to one. */
  run?: string;
  text: string;
}

const KEPT = 500;
let next = 1;

export const useLog = create<{ lines: LogLine[] }>()(() => ({ lines: [] }));

/** Adds a line, newest last; the oldest fall off after five hundred. */
export function note(text: string, kind: LogLine['kind'] = 'info', run?: string): void {
  const line: LogLine = { id: next++, at: Date.now(), kind, text, ...(run ? { run } : {}) };
  useLog.setState(({ lines }) => ({ lines: [...lines.slice(1 - KEPT), line] }));
}
