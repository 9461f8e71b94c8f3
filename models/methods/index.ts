import { linearProbe } from './linearProbe.ts';
import { lora } from './lora.ts';
import type { Method } from './method.ts';

/** Every method, in the order the page lists them. */
export const methods: readonly Method[] = [lora, linearProbe];

/** The method of that id. Throws a RangeError that lists the ids there are. */
export function methodById(id: string): Method {
  const method = methods.find((m) => m.card.id === id);
  if (!method)
    throw new RangeError(
      `There is no method '${id}'. Choose one of: ${methods.map((m) => m.card.id).join(', ')}.`,
    );
  return method;
}
