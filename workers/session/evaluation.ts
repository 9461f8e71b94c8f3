import type { Program } from '../../gpu-shaders/index.ts';
import { bitsOf, type FeatureCache } from './features.ts';
import { argmax, crossEntropyOf } from './metrics.ts';
import type { Dataset, SampleValues } from './ports.ts';
import type { Prefix } from './prefix.ts';
import { answersTokens, type RunShape } from './programs.ts';

/** Samples that an evaluation takes at a time. */
export const EVALUATION_BATCH = 32;

/** What a split's answers are worth. */
export interface Evaluated {
  /** Mean over the answers. */
  loss: number;
  hits: number;
  /** Answers: one a sample, or one a token that counts. */
  of: number;
}

type Knobs = Readonly<Record<string, number>>;

/** The compiled forward pass behind the cut, on samples of the data set or on one that comes along. */
export class Evaluation {
  constructor(
    private readonly program: Program,
    private readonly shape: RunShape,
    private readonly dataset: Dataset,
    private readonly prefix: Prefix,
    private readonly cache: FeatureCache,
  ) {}

  /** Logits of samples under the current trained values. */
  logits(samples: readonly number[], knobs: Knobs): Promise<Float32Array[]> {
    return this.outputs('logits', this.shape.classes, samples, knobs);
  }

  async evaluate(samples: readonly number[], knobs: Knobs): Promise<Evaluated> {
    if (answersTokens(this.shape)) return summed(await this.outputs('sums', 3, samples, knobs));
    const logits = await this.logits(samples, knobs);
    const labels = samples.map((i) => this.dataset.samples[i].label);
    const predicted = logits.map(argmax);
    return {
      loss: logits.reduce((n, l, i) => n + crossEntropyOf(l, labels[i]), 0) / Math.max(1, samples.length),
      hits: predicted.filter((p, i) => p === labels[i]).length,
      of: samples.length,
    };
  }

  /** Logits and frozen features of one sample that is in no data set. */
  async predict(
    sample: SampleValues,
    knobs: Knobs,
  ): Promise<{ logits: Float32Array; features: Float32Array }> {
    const values = await this.prefix.compute([sample]);
    this.writeKnobs(knobs);
    for (const { name, given } of this.prefix.rows)
      this.program.write(name, given ? bitsOf(sample[given]) : values.get(name)!);
    this.program.run();
    const { logits } = await this.program.collect(['logits']);
    return { logits: logits.slice(0, this.shape.classes), features: values.get('features')! };
  }

  /** Rows of an output, `width` values a sample. */
  private async outputs(
    name: 'logits' | 'sums',
    width: number,
    samples: readonly number[],
    knobs: Knobs,
  ): Promise<Float32Array[]> {
    const { program } = this;
    const result: Float32Array[] = [];
    for (let from = 0; from < samples.length; from += EVALUATION_BATCH) {
      const part = samples.slice(from, from + EVALUATION_BATCH);
      this.writeKnobs(knobs);
      const rows = part.map((sample) => ({ sample, view: 0 }));
      program.run(await this.cache.bring(program, rows));
      const { [name]: values } = await program.collect([name]);
      for (let i = 0; i < part.length; i++) result.push(values.slice(i * width, (i + 1) * width));
    }
    return result;
  }

  private writeKnobs(knobs: Knobs): void {
    for (const k of this.shape.attachment.knobs)
      this.program.write(`knob:${k.name}`, Float32Array.of(knobs[k.name] ?? k.value));
  }

  destroy(): void {
    this.program.destroy();
  }
}

/** Rows of loss, right answers and answers, together. */
function summed(rows: readonly Float32Array[]): Evaluated {
  const [loss, hits, of] = [0, 1, 2].map((i) => rows.reduce((n, row) => n + row[i], 0));
  return { loss: loss / Math.max(1, of), hits, of };
}
