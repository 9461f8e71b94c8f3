import { dropout, input, parameter, type Tensor } from '../../gpu-shaders/index.ts';
import type { Attachment, AttachmentScope } from '../methods/method.ts';
import { inputs } from './task.ts';

/** What traced code reaches the attachment by, for each forward pass of a trace. */
export function attachmentScopes(
  attachment: Attachment,
  training: boolean,
  labels: Tensor,
  part = false,
): (pass: number) => AttachmentScope {
  const { parameters, buffers = [], draws = [], knobs } = attachment;
  const leaves = new Map(parameters.map((p) => [p.name, parameter(p.name, p.shape, { trainable: true })]));
  const held = new Map(
    buffers.map((b) => [b.name, parameter(b.name, b.shape, { dtype: b.dtype, mutable: true })]),
  );
  const turned = new Map(knobs.map((k) => [k.name, input(`knob:${k.name}`, [])]));
  const drawn = new Map(draws.map((d) => [d.name, input(`draw:${d.name}`, d.shape)]));
  const random = input(inputs.random, [part ? 3 : 2], { dtype: 'u32' });
  let sites = 0;
  return (pass) => ({
    training,
    pass,
    parameter: (name) => found(leaves, name, 'parameter'),
    buffer: (name) => found(held, name, 'buffer'),
    knob: (name) => found(turned, name, 'knob'),
    draw: (name) => found(drawn, name, 'draw'),
    labels() {
      if (!training) throw new Error('The method reads labels outside of training, where there are none.');
      return labels;
    },
    dropout: (x, rate) => (training && rate > 0 ? dropout(x, rate, random, sites++) : x),
  });
}

function found(map: ReadonlyMap<string, Tensor>, name: string, what: string): Tensor {
  const t = map.get(name);
  if (!t) throw new Error(`The method reads the ${what} '${name}', which it does not declare.`);
  return t;
}
