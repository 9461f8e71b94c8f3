import { compile, copy, gradients, type Program, type State } from '../../gpu-shaders/index.ts';
import { hash32, uniform } from '../../models/data/hash.ts';
import type { LiveTensors } from '../../models/methods/method.ts';
import { liveTrace, partsOf, type RunShape, tensorsNamed } from './programs.ts';

/** Where a run stands between two steps. */
export type Moment = Pick<LiveTensors, 'step' | 'steps' | 'epochSteps'>;

/** Runs a program of the training step's inputs on a part of the batch of `step`. */
export type RunOn = (program: Program, step: number, part: number) => Promise<void>;

/** Output beside the gradients: what their sum over the parts is to be divided by. No parameter has a name like it. */
const DIVISOR = ' divisor';

interface Made {
  program: Program;
  divided: boolean;
}

/** What a method's `refresh` works on: the session's state, and gradients on the batch of the step just done. */
export class Refreshing {
  private readonly programs = new Map<string, Promise<Made>>();

  constructor(
    private readonly state: State,
    private readonly shape: RunShape,
  ) {}

  at(moment: Moment, runOn: RunOn): LiveTensors {
    const { state } = this;
    const stream = hash32(this.shape.settings.seed as number, moment.step);
    let draws = 0;
    return {
      ...moment,
      read: (name) => state.readTensor(name),
      write: (name, data) => state.writeTensor(name, data),
      moments: (name) => state.readMoments(name),
      writeMoments(name, first, second) {
        state.writeTrainables(new Map([[name, first]]), 'moment1');
        state.writeTrainables(new Map([[name, second]]), 'moment2');
      },
      gradients: (names) => this.gradients(names, Math.max(1, moment.step), runOn),
      trained: async () => ({
        values: await state.readTrainables('values'),
        gradients: await state.readTrainables('gradients'),
      }),
      draw: () => uniform(stream, draws++),
    };
  }

  private async gradients(
    names: readonly string[],
    step: number,
    runOn: RunOn,
  ): Promise<Map<string, Float32Array>> {
    const key = names.join('\n');
    const made = this.programs.get(key) ?? this.compile(names);
    this.programs.set(key, made);
    const { program, divided } = await made;
    const wanted = divided ? [...names, DIVISOR] : names;
    const sums = new Map<string, Float32Array>();
    for (let part = 0; part < partsOf(this.shape.settings).parts; part++) {
      await runOn(program, step, part);
      for (const [name, values] of Object.entries(await program.collect(wanted))) {
        const sum = sums.get(name);
        sums.set(name, sum ? sum.map((v, i) => v + values[i]) : values);
      }
    }
    const by = sums.get(DIVISOR)?.[0] ?? 1;
    sums.delete(DIVISOR);
    return by === 1 ? sums : new Map([...sums].map(([name, sum]) => [name, sum.map((v) => v / by)]));
  }

  private async compile(names: readonly string[]): Promise<Made> {
    const { loss, divisor } = liveTrace(this.shape);
    const found = gradients(loss, tensorsNamed(loss, names));
    const outputs = Object.fromEntries(names.map((name, i) => [name, copy(found[i])]));
    if (divisor) outputs[DIVISOR] = copy(divisor);
    return {
      program: await compile(this.state, { label: 'refresh', outputs }),
      divided: divisor !== undefined,
    };
  }

  destroy(): void {
    for (const made of this.programs.values()) void made.then(({ program }) => program.destroy());
  }
}
