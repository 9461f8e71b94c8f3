import type { State } from '../../gpu-shaders/index.ts';
import { bytesSource, readSafetensors, writeSafetensors } from '../../models/checkpoints/safetensors.ts';
import type { EvalPoint, StepPoint } from '../protocol.ts';
import type { Files } from './ports.ts';

/** Everything a run is between two steps. With the same data and settings it goes on bit for bit. */
export interface Progress {
  /** Steps done. */
  step: number;
  knobs: Record<string, number>;
  /** Steps whose gradient was not finite: nothing was updated, and the rate is halved after each. */
  skipped: number[];
  best: { step: number; accuracy: number; loss: number } | null;
  /** Checks without improvement in a row. */
  waited: number;
  steps: StepPoint[];
  evals: EvalPoint[];
  journal: { step: number; knob: string; value: number }[];
}

export function freshProgress(knobs: Record<string, number>): Progress {
  return { step: 0, knobs, skipped: [], best: null, waited: 0, steps: [], evals: [], journal: [] };
}

/** Steps in flight on the GPU before the oldest one's figures are awaited. */
export const IN_FLIGHT = 2;

/**
 * What skipped steps leave of the learning rate. A skip counts from the first step that is submitted after its
 * figures must have come, whether or not they came sooner, so that a resumed run decides alike.
 */
export function rateFactor(progress: Progress, step: number): number {
  return 0.5 ** progress.skipped.filter((s) => s + IN_FLIGHT < step).length;
}

/** What holds what a run changes and the optimiser's moments: a GPU's state, or arrays. */
export type TrainedState = Pick<State, 'readTensors' | 'writeTensors' | 'readTrainables' | 'writeTrainables'>;

const parts = ['values', 'moment1', 'moment2'] as const;

const readPart = (state: TrainedState, part: (typeof parts)[number]) =>
  part === 'values' ? state.readTensors() : state.readTrainables(part);

/** Checkpoints of one run: `<folder>/<step>.safetensors`, the newest two kept, and `<folder>/best.safetensors`. */
export class Checkpoints {
  /** The best weights of this life, at hand even where they could not be written. */
  private bestHere: Map<string, Float32Array> | null = null;

  constructor(
    private readonly files: Files,
    private readonly folder: string,
  ) {}

  /** Writes the state after `progress.step` steps, then drops older ones but the last. */
  async save(state: TrainedState, progress: Progress): Promise<void> {
    const tensors = [];
    for (const part of parts)
      for (const [name, data] of await readPart(state, part))
        tensors.push({ name: `${part}/${name}`, shape: [data.length], data });
    const bytes = writeSafetensors(tensors, {
      format: 'graft',
      version: '1',
      progress: JSON.stringify(progress),
    });
    await this.files.write(this.file(progress.step), bytes);
    for (const step of (await this.steps()).slice(2)) await this.files.remove(this.file(step));
  }

  /** Restores the newest readable checkpoint into `state`; null when there is none. */
  async restore(state: TrainedState): Promise<Progress | null> {
    for (const step of await this.steps()) {
      const bytes = await this.files.read(this.file(step));
      if (!bytes) continue;
      const file = await readSafetensors(bytesSource(bytes), this.file(step));
      for (const part of parts) {
        const names = file.names().filter((n) => n.startsWith(`${part}/`));
        const tensors = new Map(
          await Promise.all(names.map(async (n) => [n.slice(part.length + 1), await file.f32(n)] as const)),
        );
        if (part === 'values') state.writeTensors(tensors);
        else state.writeTrainables(tensors, part);
      }
      return JSON.parse(file.metadata.get('progress') ?? 'null') as Progress | null;
    }
    return null;
  }

  async saveBest(state: TrainedState, step: number): Promise<void> {
    this.bestHere = await state.readTensors();
    const tensors = [...this.bestHere].map(([name, data]) => ({ name, shape: [data.length], data }));
    await this.files.write(
      `${this.folder}/best.safetensors`,
      writeSafetensors(tensors, { format: 'graft', step: `${step}` }),
    );
  }

  /** The best validated weights, or null. */
  async best(): Promise<Map<string, Float32Array> | null> {
    if (this.bestHere) return this.bestHere;
    const bytes = await this.files.read(`${this.folder}/best.safetensors`);
    if (!bytes) return null;
    const file = await readSafetensors(bytesSource(bytes), 'best.safetensors');
    return new Map(await Promise.all(file.names().map(async (n) => [n, await file.f32(n)] as const)));
  }

  /** Whether there is anything to go on from. */
  async kept(): Promise<boolean> {
    return (await this.files.list(`${this.folder}/`)).some((name) => name.endsWith('.safetensors'));
  }

  /** Removes everything kept for the run. */
  remove(): Promise<void> {
    return this.files.remove(`${this.folder}/`);
  }

  private file(step: number): string {
    return `${this.folder}/${step}.safetensors`;
  }

  /** Steps with a checkpoint, newest first. */
  private async steps(): Promise<number[]> {
    const names = await this.files.list(`${this.folder}/`);
    return names
      .map((n) => /\/(\d+)\.safetensors$/.exec(n)?.[1])
      .filter((s) => s !== undefined)
      .map(Number)
      .sort((a, b) => b - a);
  }
}
