import type { Server } from 'node:http';

export function createStudioServer(options: {
  root: string;
  /** Replace the studio's own; `{}` is a host that sets none. */
  headers?: Record<string, string>;
  /** The path the folder appears under, with slashes at both ends. */
  base?: string;
}): Server;
export function parseRange(
  header: string | undefined,
  size: number,
): { from: number; to: number } | 'unsatisfiable' | null;
export function listen(
  create: () => Server,
  port: number,
): Promise<{ port: number; close: () => Promise<void> }>;
