import type { Settings } from '../../models/describe.ts';
import { type Model, sizeSetting } from '../../models/model.ts';
import { weightForms } from '../../models/weightForms.ts';
import type { Offer } from '../protocol.ts';

/** Bytes from which on a run may be more than a common graphics adapter has to spare; a browser does not tell. */
export const HEAVY = 2e9;
/** An offer for a heavy run takes at most this share of it. */
const WORTH = 0.8;
/** Least values of a step, in MB, that a memory limit is offered for. */
const LEAST_LIMIT = 16;

export interface OfferRequest {
  model: Model;
  settings: Settings;
  /** GPU bytes of the run as it is; null where it does not fit. */
  total: number | null;
  /** Bytes of a step's values as they are, or about. */
  activations: number;
  /** GPU bytes of a run under other settings; null where it does not fit. */
  totalOf(settings: Settings): number | null;
}

interface Candidate {
  label: string;
  change: Settings;
}

/** Changes of settings that make a run fit, or lighter, one of each kind and the mildest of it. */
export function offersOf(request: OfferRequest): Offer[] {
  const { total, settings, totalOf } = request;
  const enough = total === null ? Number.POSITIVE_INFINITY : WORTH * total;
  return ladders(request).flatMap((ladder) => {
    for (const { label, change } of ladder) {
      const found = totalOf({ ...settings, ...change });
      if (found !== null && found <= enough) return [{ label, settings: change, total: found }];
    }
    return [];
  });
}

/** Each kind of change from mild to strong. */
function ladders({ model, settings, activations }: OfferRequest): Candidate[][] {
  const batch = settings.batch_size as number;
  const parts = (settings.accumulate as number) || 1;
  const halvings = (from: number) => [2, 4, 8, 16, 32, 64].map((by) => from / by);
  return [
    [2, 4, 8, 16, 32, 64]
      .map((by) => parts * by)
      .filter((n) => n <= Math.min(64, batch))
      .map((n) => ({ label: `Compute each batch in ${n} parts`, change: { accumulate: n } })),
    halvings(batch)
      .filter((n) => n >= 1)
      .map(Math.floor)
      .map((n) => ({ label: `Batch size ${n}`, change: { batch_size: n } })),
    weightForms
      .slice(1 + Math.max(0, weightForms.indexOf(model.holding(settings).form)))
      .map((form) => ({ label: `Frozen weights as ${form}`, change: { weights: form } })),
    settings.memory_limit ? [{ label: 'No memory limit', change: { memory_limit: 0 } }] : [],
    [0.6, 0.4, 0.25]
      .map((share) => Math.floor((share * activations) / 1e6))
      .filter((limit) => limit >= LEAST_LIMIT)
      .map((limit) => ({
        label: `Values of a step within ${limit} MB, some computed twice`,
        change: { memory_limit: limit },
      })),
    smallerSamples(model, settings),
  ];
}

function smallerSamples(model: Model, settings: Settings): Candidate[] {
  const { unit, min, multiple } = model.backbone.size(model.config);
  const now = model.sizeIn(settings);
  const words = {
    px: (n: number) => `Pictures at ${n} px`,
    tokens: (n: number) => `Texts of ${n} tokens`,
    s: (n: number) => `Sounds of ${n} s`,
  };
  return [0.75, 0.5, 0.25]
    .map((share) => Math.round((share * now) / multiple) * multiple)
    .filter((n, i, all) => n >= min && n < now && all.indexOf(n) === i)
    .map((n) => ({ label: words[unit](n), change: { [sizeSetting[unit]]: n } }));
}
