import {
  type Copy,
  compile,
  copy,
  input,
  isFrozen,
  nodesOf,
  type ParameterAttrs,
  type Program,
  reshape,
  type State,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { drawsOf, type SampleOptions, sampleToken } from '../../models/generation/sample.ts';
import type { Attachment } from '../../models/methods/method.ts';
import type { Model } from '../../models/model.ts';
import { attachmentScopes, inputs, TaskError } from '../../models/tasks/index.ts';

/** How a text is written on. */
export interface WriteOptions extends SampleOptions {
  /** Most tokens to write. */
  tokens: number;
  seed: number;
  /** Tokens after which a text is at its end. */
  ends: ReadonlySet<number>;
  /** Values of the method's knobs; their own where one is not here. */
  knobs?: Readonly<Record<string, number>>;
}

/** Writes texts on, token by token, keeping keys and values of what it has read. One text at a time. */
export class Writer {
  private constructor(
    private readonly program: Program,
    private readonly attachment: Attachment | null,
    private readonly blocks: number,
    /** Tokens that a text may have, the prompt among them. */
    readonly capacity: number,
    private readonly rowBytes: number,
  ) {}

  /**
   * Compiles one step of a causal language model on a state that holds its frozen weights and, with an attachment, its
   * trained values. Throws `TaskError` where the backbone does not write, or the method puts tokens before a text.
   */
  static async open(
    state: State,
    model: Model,
    attachment: Attachment | null,
    capacity: number,
  ): Promise<Writer> {
    const { outputs, blocks, width } = traceStep(model, attachment, capacity);
    const program = await compile(state, { label: 'write', outputs });
    return new Writer(program, attachment, blocks, capacity, width * 4);
  }

  /** Paths of the frozen weights that writing reads. */
  static weights(model: Model, attachment: Attachment | null, capacity: number): string[] {
    const { outputs } = traceStep(model, attachment, capacity);
    const read = nodesOf(Object.values(outputs)).flatMap((node) => node.outputs);
    return [...new Set(read.filter(isFrozen).map((t) => (t.node.attrs as ParameterAttrs).name))];
  }

  /** The tokens that follow `prompt`, each as soon as it is known; breaking off stops the writing. */
  async *write(prompt: readonly number[], options: WriteOptions): AsyncGenerator<number> {
    if (!prompt.length || prompt.length >= this.capacity)
      throw new TaskError(
        `The prompt has ${prompt.length} tokens; this model takes 1 to ${this.capacity - 1} and writes on behind them.`,
      );
    const { program, attachment } = this;
    for (const k of attachment?.knobs ?? [])
      program.write(`knob:${k.name}`, Float32Array.of(options.knobs?.[k.name] ?? k.value));
    program.write('mask', new Float32Array(this.capacity));
    const draw = drawsOf(options.seed);
    let next = prompt[0];
    for (let at = 0; at < Math.min(this.capacity, prompt.length + options.tokens - 1); at++) {
      const told = at + 1 < prompt.length;
      program.write('ids', Uint32Array.of(next));
      program.write('positions', Uint32Array.of(at));
      program.run(at ? this.remember(at - 1) : []);
      program.write('mask', Float32Array.of(1), at);
      if (told) {
        next = prompt[at + 1];
        continue;
      }
      const { logits } = await program.collect(['logits']);
      next = sampleToken(logits, options, draw);
      if (options.ends.has(next)) return;
      yield next;
    }
  }

  /** Copies that put the keys and values of the step just done at place `at` of the past. */
  private remember(at: number): Copy[] {
    const names = Array.from({ length: this.blocks }, (_, i) => [`k${i}`, `v${i}`]).flat();
    return names.flatMap((name) => {
      const to = this.program.input(`past:${name}`);
      if (!to) return [];
      const { buffer, offset } = this.program.output(name);
      return [{ from: buffer, fromOffset: offset, to, toOffset: at * this.rowBytes, bytes: this.rowBytes }];
    });
  }

  destroy(): void {
    this.program.destroy();
  }
}

/** One step: a token and what lies before it to the logits of the next, and the token's own keys and values. */
function traceStep(model: Model, attachment: Attachment | null, capacity: number) {
  const { decode, languageHead } = model.backbone;
  if (!decode || !languageHead)
    throw new TaskError(
      `${model.backbone.title} does not write texts. Choose a causal language model such as GPT-2, Llama or Qwen2.`,
    );
  const labels = input(inputs.labels, [1], { dtype: 'u32' });
  const own = attachment?.intercept(attachmentScopes(attachment, false, labels)(0));
  if (own?.tokens)
    throw new TaskError(
      'This method puts tokens before a text, which writing with kept keys does not do yet.',
    );
  const width = decode.width(model.config);
  const past = Array.from({ length: model.blocks }, (_, i) => ({
    k: input(`past:k${i}`, [1, capacity, width], { resident: true }),
    v: input(`past:v${i}`, [1, capacity, width], { resident: true }),
  }));
  const scope = model.scope(own ? [own] : []);
  const { last, rows } = decode.forward(
    scope,
    {
      ids: input('ids', [1, 1], { dtype: 'u32' }),
      positions: input('positions', [1, 1], { dtype: 'u32' }),
      mask: input('mask', [1, capacity]),
      past,
    },
    model.config,
  );
  const logits = languageHead(scope, { last }, model.config);
  const outputs: Record<string, Tensor> = { logits: copy(reshape(logits, [logits.shape.at(-1)!])) };
  rows.forEach(({ k, v }, i) => {
    outputs[`k${i}`] = copy(k);
    outputs[`v${i}`] = copy(v);
  });
  return { outputs, blocks: rows.length, width };
}
