import { copy, everyOptimisation, PLAIN, prepare, schedule } from '../../gpu-shaders/index.ts';
import { linearProbe } from '../../models/methods/linearProbe.ts';
import type { Attachment, Method } from '../../models/methods/method.ts';
import { traceClassification } from '../../models/tasks/index.ts';
import type { RunShape } from './programs.ts';

/** Operations (multiplications and additions of products) to classify one sample. */
export interface UseCost {
  /** By the frozen backbone with a head. */
  frozen: number;
  /** With the adapter beside it, as it is computed where it is not, or cannot be, merged. */
  adapted: number;
}

/** Share of the frozen backbone's operations that an adapter adds to every use; 0 where its method merges away. */
export function extraUse(method: Pick<Method, 'unmergeable'>, shape: RunShape, limit: number): number {
  if (!method.unmergeable) return 0;
  const { frozen, adapted } = costOfUse(shape, limit);
  return adapted / frozen - 1;
}

/** What an adapter costs at every use, from the schedules alone: no GPU is touched. `limit` is a binding's bytes. */
export function costOfUse({ model, attachment, classes, settings }: RunShape, limit: number): UseCost {
  const size = model.sizeIn(settings);
  const flopsOf = (of: Attachment) => {
    const shape = { classes, batch: 1, size, labelSmoothing: 0, training: false };
    const [logits] = prepare([traceClassification(model, of, shape).logits], everyOptimisation);
    const { calls } = schedule({
      outputs: { logits: copy(logits) },
      limit,
      target: PLAIN,
      optimise: everyOptimisation,
    });
    return calls.reduce((n, c) => n + c.flops, 0);
  };
  return { frozen: flopsOf(linearProbe.attach(model, {})), adapted: flopsOf(attachment) };
}
