import type { Op } from '../graph/op.ts';
import { ShapeError, type Tensor, trace } from '../graph/tensor.ts';

interface RotaryAttrs {
  /** Elements of a head. */
  head: number;
  /** -1 turns back, which is the gradient of turning. */
  sign: 1 | -1;
}

const rotaryOp: Op<RotaryAttrs> = {
  name: 'rotary',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  gradient: ({ inputs: [, table], dys, attrs: { head, sign } }) => [
    trace(rotaryOp, [dys[0]!, table], { head, sign: sign === 1 ? -1 : 1 })[0],
    null,
  ],
  // Tokens stand alone; the pairs of a head do not.
  narrow: ({ inputs: [x, table], attrs }, box) => {
    if (box.shape[2] !== x.shape[2]) return null;
    const angles = { begin: [box.begin[1], 0], shape: [box.shape[1], attrs.head] };
    if (table.shape.length === 2) return { inputs: [box, angles], attrs };
    const [begin, shape] = [
      [box.begin[0], ...angles.begin],
      [box.shape[0], ...angles.shape],
    ];
    return { inputs: [box, { begin, shape }], attrs };
  },
  lower: {
    kind: 'point',
    body: (w, { head, sign }) => {
      const [, tokens, width] = w.inputs[0].shape;
      const half = head / 2;
      const token = w.inputs[1].shape.length === 3 ? `i / ${width}u` : `i / ${width}u % ${tokens}u`;
      return `  let within = i % ${head}u;
  let angle = (${token}) * ${head}u + within % ${half}u;
  let turn = ${sign}.0 * ${w.read(1, `angle + ${half}u`)};
  var value = ${w.read(0, 'i')} * ${w.read(1, 'angle')};
  if (within < ${half}u) { value -= ${w.read(0, `i + ${half}u`)} * turn; }
  else { value += ${w.read(0, `i - ${half}u`)} * turn; }`;
    },
  },
};

/**
 * Rotary position embedding (Su et al., 2021, eq. 34) on the halves of each head, as Llama pairs them: elements j and
 * j + head / 2 turn by one angle. x [B, T, heads × head]; `table` [T, head] or [B, T, head] holds the cosines of a
 * token's head / 2 angles, then their sines, and has no gradient. Throws `ShapeError`.
 */
export function rotary(x: Tensor, table: Tensor, head: number): Tensor {
  const [batch, tokens, width] = x.shape;
  const fits =
    x.shape.length === 3 &&
    head % 2 === 0 &&
    width % head === 0 &&
    [`${tokens},${head}`, `${batch},${tokens},${head}`].includes(`${table.shape}`);
  if (!fits)
    throw new ShapeError(`rotary: x [${x.shape}] and angles [${table.shape}] do not fit heads of ${head}.`);
  return trace(rotaryOp, [x, table], { head, sign: 1 })[0];
}
