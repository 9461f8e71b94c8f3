import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds of one tick of the kernel's process accounting (USER_HZ is 100 on every Linux in use). */
const TICK = 10;

/** Reads a process's accounting: its parent, and the processor time that it has used, in milliseconds. */
function statOf(pid: number): { parent: number; ms: number } | null {
  try {
    // The name, in parentheses, may hold spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { parent: Number(fields[1]), ms: TICK * (Number(fields[11]) + Number(fields[12])) };
  } catch {
    return null;
  }
}

function isOurs(pid: number): boolean {
  for (let p = pid; p > 1; p = statOf(p)?.parent ?? 0) if (p === process.pid) return true;
  return false;
}

/**
 * A reader of the processor time of this process's browser's GPU process; undefined off Linux. A software adapter
 * computes there, so on a machine shared with others this says more than the clock does.
 */
export function gpuProcessTime(): (() => number) | undefined {
  let pids: number[];
  try {
    pids = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=gpu-process'));
  } catch {
    return undefined;
  }
  const pid = pids.find(isOurs);
  return pid === undefined ? undefined : () => statOf(pid)?.ms ?? 0;
}
