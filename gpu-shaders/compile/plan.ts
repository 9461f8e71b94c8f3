import type { Place } from './writer.ts';

/** When a place is in use: steps of the schedule, both ends included. */
export interface Lifetime {
  place: Place;
  from: number;
  to: number;
}

export interface Slot {
  arena: number;
  offset: number;
  bytes: number;
}

export interface MemoryPlan {
  slots: Map<string, Slot>;
  /** Bytes of each arena buffer. */
  arenas: number[];
  /** Sum of all places, had each its own memory. */
  unshared: number;
}

/** WebGPU's default minStorageBufferOffsetAlignment. */
const ALIGN = 256;
const align = (n: number) => Math.ceil(n / ALIGN) * ALIGN;

/**
 * Gives every place an offset such that places in use at the same time do not overlap: largest first, each at the
 * lowest offset free during its lifetime, in the first arena (of at most `limit` bytes) with room. Throws
 * `MemoryError` for a single place above the limit. Without `reuse` every place is in use from first to last.
 */
export function planMemory(lifetimes: readonly Lifetime[], limit: number, reuse = true): MemoryPlan {
  const order = [...lifetimes].sort((a, b) => b.place.bytes - a.place.bytes || a.from - b.from);
  const arenas: number[] = [];
  const placed: { life: Lifetime; slot: Slot }[][] = [];
  const slots = new Map<string, Slot>();
  for (const life of order) {
    const bytes = align(Math.max(life.place.bytes, 4));
    if (bytes > limit) throw new MemoryError(life.place.bytes, limit);
    for (let arena = 0; ; arena++) {
      if (arena === arenas.length) {
        arenas.push(0);
        placed.push([]);
      }
      const busy = placed[arena]
        .filter((p) => !reuse || (p.life.from <= life.to && life.from <= p.life.to))
        .map((p) => p.slot)
        .sort((a, b) => a.offset - b.offset);
      let offset = 0;
      for (const slot of busy) {
        if (slot.offset - offset >= bytes) break;
        offset = Math.max(offset, slot.offset + slot.bytes);
      }
      if (offset + bytes > limit) continue;
      const slot = { arena, offset, bytes };
      placed[arena].push({ life, slot });
      slots.set(life.place.key, slot);
      arenas[arena] = Math.max(arenas[arena], offset + bytes);
      break;
    }
  }
  return { slots, arenas, unshared: order.reduce((n, l) => n + align(l.place.bytes), 0) };
}

/** One value is larger than this device can bind. */
export class MemoryError extends Error {
  override name = 'MemoryError';
  constructor(bytes: number, limit: number) {
    super(
      `A single intermediate value needs ${(bytes / 2 ** 20).toFixed(0)} MiB, and this GPU binds at most ${(limit / 2 ** 20).toFixed(0)} MiB. Use a smaller batch or a smaller image size.`,
    );
  }
}

/** A stored tensor, or all trained values together, are larger than this device can hold or bind in one piece. */
export class BindingError extends Error {
  override name = 'BindingError';
  constructor(what: string, bytes: number, limit: number) {
    const [needed, most] = [bytes, limit].map((n) => Math.ceil(n / 2 ** 20));
    super(
      `${what} takes ${needed} MiB, and this GPU takes at most ${most} MiB in one piece. Choose a smaller form for the frozen weights (f16, int8 or nf4), fewer trained modules, or a smaller backbone.`,
    );
  }
}

/** A step's values need more memory than the limit, however much is computed again. */
export class MemoryLimitError extends Error {
  override name = 'MemoryLimitError';
  constructor(
    limit: number,
    /** The fewest bytes that would do. */
    readonly least: number,
  ) {
    super(
      `The values of one step need at least ${megabytes(least)} MB, and the memory limit is ${megabytes(limit)} MB. Raise the limit, or use a smaller batch or a smaller image size.`,
    );
  }
}

const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
