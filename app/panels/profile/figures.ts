import type { KernelTime, Profile } from '../../../workers/protocol.ts';

/** What a step's profile says of one kind of kernel, or of all together. */
export interface Figures {
  ms: number;
  /** Of the step's GPU time, 0 to 1. */
  share: number;
  /** Operations a second; null where they are not counted. */
  rate: number | null;
  /** Bytes bound a second; null for a time too short to be told. */
  traffic: number | null;
  /** Of a plain product's rate, 0 to 1 and above; null where operations are not counted. */
  ofFloor: number | null;
}

export interface ProfileFigures {
  rows: (Figures & { label: string; count: number })[];
  whole: Figures & { count: number };
}

export function figuresOf({ kernels, productRate }: Profile): ProfileFigures {
  const sum = (of: (k: KernelTime) => number) => kernels.reduce((n, k) => n + of(k), 0);
  const total = sum((k) => k.ms);
  const figures = ({ ms, flops, bytes }: Pick<KernelTime, 'ms' | 'flops' | 'bytes'>): Figures => {
    const rate = flops > 0 && ms > 0 ? (flops * 1000) / ms : null;
    return {
      ms,
      share: total > 0 ? ms / total : 0,
      rate,
      traffic: ms > 0 ? (bytes * 1000) / ms : null,
      ofFloor: rate === null ? null : rate / productRate,
    };
  };
  return {
    rows: kernels.map((k) => ({ label: k.label, count: k.count, ...figures(k) })).sort((a, b) => b.ms - a.ms),
    whole: {
      count: sum((k) => k.count),
      ...figures({ ms: total, flops: sum((k) => k.flops), bytes: sum((k) => k.bytes) }),
    },
  };
}
