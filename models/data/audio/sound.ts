/** A sound as it was decoded: one array of samples in -1..1 for each channel, all of one length. */
export interface Sound {
  /** Samples a second. */
  readonly rate: number;
  readonly channels: readonly Float32Array[];
}

/** The mean of the channels, as every reference makes mono. */
export function toMono({ channels }: Sound): Float32Array {
  if (channels.length === 1) return channels[0];
  const mono = new Float32Array(channels[0].length);
  for (const channel of channels) for (let i = 0; i < mono.length; i++) mono[i] += channel[i];
  for (let i = 0; i < mono.length; i++) mono[i] /= channels.length;
  return mono;
}

/** Seconds that a sound lasts. */
export function secondsOf({ channels, rate }: Sound): number {
  return channels[0].length / rate;
}
