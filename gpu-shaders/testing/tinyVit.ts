import { input, parameter } from '../graph/leaves.ts';
import { type Shape, sizeOf, type Tensor } from '../graph/tensor.ts';
import { attention } from '../ops/attention.ts';
import { crossEntropy } from '../ops/classify.ts';
import { dropout } from '../ops/dropout.ts';
import { add, broadcastTo, div, gelu, mul, sub } from '../ops/elementwise.ts';
import { concat, slice } from '../ops/layout.ts';
import { linear } from '../ops/linear.ts';
import { matmul } from '../ops/matmul.ts';
import { layerNorm } from '../ops/norm.ts';
import { mean } from '../ops/reduce.ts';
import { reshape } from '../ops/reshape.ts';
import { State } from '../state.ts';
import { noise } from './checkOp.ts';
import { testGpu } from './dawn.ts';

const [BATCH, TOKENS, PATCH, DIM, MLP, HEADS, CLASSES, RANK] = [2, 9, 12, 32, 64, 2, 3, 4];

/** A vision transformer of a few hundred operations with LoRA on query and value, and what it is trained on. */
export class TinyVit {
  readonly leaves = new Map<string, Tensor>();
  readonly loss: Tensor;

  constructor(
    readonly blocks: number,
    /** The first block with adapters. */
    readonly adapted = 0,
  ) {
    const x = input('x', [BATCH, TOKENS - 1, PATCH], { sample: true });
    const pixels = div(sub(x, 0.5), 0.25);
    const cls = broadcastTo(this.leaf('cls', [1, 1, DIM]), [BATCH, 1, DIM]);
    let h = add(
      concat([cls, this.dense(pixels, 'embed', PATCH, DIM)], 1),
      this.leaf('pos', [1, TOKENS, DIM]),
    );
    for (let i = 0; i < blocks; i++) h = this.block(h, i);
    const token = reshape(slice(this.norm(h, 'norm'), [0, 0, 0], [BATCH, 1, DIM]), [BATCH, DIM]);
    const logits = linear(token, this.leaf('head', [CLASSES, DIM], true));
    this.loss = mean(crossEntropy(logits, input('labels', [BATCH], { dtype: 'u32' })));
  }

  get trained(): Map<string, Tensor> {
    return new Map([...this.leaves].filter(([, t]) => t.node.attrs.trainable));
  }

  /** The leaves' own numbers, always the same. */
  async state(): Promise<State> {
    const state = new State(
      await testGpu(),
      [...this.trained].map(([name, type]) => ({ name, type })),
    );
    [...this.leaves].forEach(([name, t], i) => {
      const data = noise(sizeOf(t.shape), i + 1).map((v) => v / 2.5);
      if (t.node.attrs.trainable) state.setTrainable(name, data);
      else state.setFrozen(name, data);
    });
    return state;
  }

  /** Values of the inputs by name. */
  readonly inputs = {
    x: noise(BATCH * (TOKENS - 1) * PATCH, 91),
    labels: Uint32Array.of(2, 0),
    random: Uint32Array.of(7, 1),
  };

  private leaf(name: string, shape: Shape, trainable = false): Tensor {
    const known = this.leaves.get(name);
    if (known) return known;
    const made = parameter(name, shape, { trainable });
    this.leaves.set(name, made);
    return made;
  }

  private dense(x: Tensor, name: string, from: number, to: number): Tensor {
    return linear(x, this.leaf(`${name}.weight`, [to, from]), this.leaf(`${name}.bias`, [to]));
  }

  private norm(x: Tensor, name: string): Tensor {
    return layerNorm(x, this.leaf(`${name}.g`, [DIM]), this.leaf(`${name}.b`, [DIM]), 1e-5);
  }

  private lora(x: Tensor, name: string, site: number): Tensor {
    const dropped = dropout(x, 0.1, input('random', [2], { dtype: 'u32' }), site);
    const inner = matmul(dropped, this.leaf(`${name}.A`, [RANK, DIM], true), { tb: true });
    const update = matmul(inner, this.leaf(`${name}.B`, [DIM, RANK], true), { tb: true });
    return add(this.dense(x, name, DIM, DIM), mul(update, 2));
  }

  private block(h: Tensor, i: number): Tensor {
    // Traced once for each reader, so that there is something in common to be found.
    const x = () => this.norm(h, `${i}.norm1`);
    const project = (name: string, site: number) =>
      i < this.adapted ? this.dense(x(), `${i}.${name}`, DIM, DIM) : this.lora(x(), `${i}.${name}`, site);
    const [q, v] = [project('q', 2 * i), project('v', 2 * i + 1)];
    const k = this.dense(x(), `${i}.k`, DIM, DIM);
    const attended = add(h, this.dense(attention(q, k, v, { heads: HEADS }), `${i}.o`, DIM, DIM));
    const up = gelu(this.dense(this.norm(attended, `${i}.norm2`), `${i}.up`, DIM, MLP));
    return add(attended, this.dense(up, `${i}.down`, MLP, DIM));
  }
}
