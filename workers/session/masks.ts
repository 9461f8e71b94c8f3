import {
  type Method,
  MethodError,
  type ModelDescription,
  type Painted,
  type SparseMask,
} from '../../models/methods/method.ts';
import type { MaskEdit, MaskEdited, MaskRenewal, MaskView, Score } from '../protocol.ts';
import type { TrainedState } from './checkpoint.ts';
import { score } from './metrics.ts';
import type { Session } from './session.ts';

type Maskable = Pick<Session, 'attachment' | 'evaluate' | 'samplesOf' | 'trained'> & {
  readonly options: { readonly method: Method };
  readonly state: TrainedState;
};

/** The masks of a session's method as they stand; none where it has no such thing. */
export async function masksOf(session: Maskable): Promise<MaskView[]> {
  const { method } = session.options;
  const masks = method.masks?.(session.attachment, await session.trained()) ?? [];
  return masks.map(viewOf);
}

const viewOf = ({ path, shape: [rows, columns], indices }: SparseMask): MaskView => ({
  path,
  rows,
  columns,
  indices,
});

/**
 * Paints a part of a mask in or out, and says what that did to the validation (else test) score. The compiled programs
 * stay: a mask is among their values. Throws `MethodError` where the method's masks are not to be painted.
 */
export async function paintMask(
  session: Maskable,
  knobs: Record<string, number>,
  edit: MaskEdit,
): Promise<MaskEdited> {
  const { method } = session.options;
  if (!method.paint) throw new MethodError(`The masks of ${method.card.title} are not painted by hand.`);
  const paint = method.paint.bind(method);
  return edited(session, knobs, async () => paint(session.attachment, await session.trained(), edit));
}

/** Chooses masks anew by a criterion, with the same account. Throws `MethodError` where the method has none. */
export async function renewMasks(
  session: Maskable & Pick<Session, 'base'> & { readonly options: { readonly model: ModelDescription } },
  knobs: Record<string, number>,
  renewal: MaskRenewal,
): Promise<MaskEdited> {
  const { method, model } = session.options;
  const { renew } = method;
  if (!renew) throw new MethodError(`The masks of ${method.card.title} follow no criterion.`);
  return edited(session, knobs, async () =>
    renew.masks(model, session.attachment, await session.trained(), renewal, session.base),
  );
}

/** Puts new masks in place, makes the optimiser forget what moved, and scores before and after. */
async function edited(
  session: Maskable,
  knobs: Record<string, number>,
  edit: () => Promise<Painted>,
): Promise<MaskEdited> {
  const scored = async (): Promise<Score | null> => {
    const samples = session.samplesOf(session.samplesOf('val').length ? 'val' : 'test');
    if (!samples.length) return null;
    const { hits, of } = await session.evaluate(samples, knobs);
    return score(hits, of);
  };
  const before = await scored();
  const { tensors, fresh } = await edit();
  session.state.writeTensors(tensors);
  for (const part of ['moment1', 'moment2'] as const) {
    const moments = await session.state.readTrainables(part);
    const forgotten = [...fresh].map(([name, positions]) => {
      const values = moments.get(name)!;
      for (const at of positions) values[at] = 0;
      return [name, values] as const;
    });
    session.state.writeTrainables(new Map(forgotten), part);
  }
  return { masks: await masksOf(session), before, after: await scored() };
}
