import { readLayout, sparseLayout } from '../../gpu-shaders/index.ts';
import { hash32, hashText, uniform } from '../data/hash.ts';
import { MethodError, type Renew } from './method.ts';
import { maskSetting, maskStart, shiraNames } from './shiraMask.ts';

/**
 * Masks by a criterion of the method's own, as at its start: magnitudes are those of the frozen weights, gradients those
 * of the first training pictures under the tuned probe. Entries that the old mask has too keep their values; the others
 * begin at zero. The number of values is the program's, so a mask may be thinner than the run's first one, not denser.
 */
export const renewMasks: Renew = {
  setting: maskSetting.key,

  async masks(model, attachment, tensors, { paths, criterion, density, seed }, base) {
    if (!maskSetting.options!.some((o) => o.value === criterion))
      throw new MethodError(
        `There is no mask '${criterion}'. Choose one of: ${maskSetting.options!.map((o) => o.value).join(', ')}.`,
      );
    const chosen = paths ?? attachment.targets;
    const stray = chosen.find((path) => !attachment.targets.includes(path));
    if (stray)
      throw new MethodError(`'${stray}' has no mask: SHiRA does not train it. Choose one of its targets.`);
    const start = maskStart({ mask: criterion }, chosen);
    const made = new Map<string, Float32Array>();
    const fresh = new Map<string, number[]>();
    for (const path of chosen) {
      const names = shiraNames(path);
      const values = tensors.get(names.weight)!.data;
      const { rows, columns, positions } = readLayout(tensors.get(names.layout)!.data);
      const count = entriesAt(path, density, rows * columns, values.length);
      const stream = hash32(seed, hashText(names.layout));
      let n = 0;
      const module = model.modules.find((m) => m.path === path)!;
      const wanted = await start(module, count, () => uniform(stream, n++), base);
      const { now, moved } = moveSlots(positions, wanted, rows * columns);
      const learnt = values.slice();
      for (const k of moved) learnt[k] = 0;
      made.set(names.layout, Float32Array.from(sparseLayout(now, rows, columns)));
      made.set(names.weight, learnt);
      fresh.set(names.weight, moved);
    }
    return { tensors: made, fresh };
  },
};

function entriesAt(path: string, density: number, size: number, room: number): number {
  const count = Math.round((size * density) / 100);
  if (!(density > 0) || count > room)
    throw new MethodError(
      `A mask of ${density} % was asked for. '${path}' has values for up to ${Number(((100 * room) / size).toPrecision(3))} % of its weights, the share that the run began with.`,
    );
  return Math.max(1, count);
}

/** Slots whose entry is wanted stay; the others take what is missing, or stand for nothing (`none`). */
function moveSlots(positions: Uint32Array, wanted: Uint32Array, none: number) {
  const missing = new Set(wanted);
  const free: number[] = [];
  positions.forEach((p, k) => {
    if (!missing.delete(p)) free.push(k);
  });
  const now = positions.slice();
  const left = [...missing];
  free.forEach((k, i) => {
    now[k] = left[i] ?? none;
  });
  return { now, moved: free };
}
