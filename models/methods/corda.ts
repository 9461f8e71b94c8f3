import type { ModuleCard } from '../describe.ts';
import { loraScale, loraSettings, matrixTargets } from './loraParts.ts';
import { cholesky, solveRows } from './math/factor.ts';
import { type Matrix, matrixOf, multiply, rowsOf } from './math/matrix.ts';
import { svd } from './math/svd.ts';
import { type Base, type Method, MethodError } from './method.ts';
import { componentFactors, startedAttachment, startedUpdates } from './startedFactors.ts';

/** Numbers of second moments that are asked for at a time. */
const MOMENTS = 2 ** 24;

/**
 * LoRA that starts as a part of the weight chosen by the inputs it meets (Yang et al., 2024, eq. 2 to 5): with C the
 * second moment of a layer's inputs, W C = U S Vᵀ and W = U S (Vᵀ C⁻¹). `ipm` (instruction-previewed) trains the r
 * strongest components, `kpm` (knowledge-preserved) the r weakest, and leaves alone what these inputs need most. The
 * inputs are the training pictures'. C is brought to a mean diagonal of 1, which fixes how strength is shared between A
 * and B and changes no component; it is damped by a hundredth of that, in float64 enough for a sound inverse, and by more
 * where rounding still left it without one.
 */
export const corda: Method = {
  card: {
    id: 'corda',
    title: 'CorDA',
    about: 'LoRA that starts from the directions which your pictures use most, or those they use least.',
    paper: {
      title: 'CorDA: Context-Oriented Decomposition Adaptation of Large Language Models',
      year: 2024,
      url: 'arxiv.org/abs/2406.05223',
    },
    formula: 'W + lora_B.weight:B · lora_A.weight:A − lora_B.start:B₀ · lora_A.start:A₀',
    channels: ['spectrum'],
    settings: [
      {
        key: 'mode',
        label: 'Mode',
        kind: 'choice',
        default: 'ipm',
        options: [
          { value: 'ipm', label: 'Preview the task' },
          { value: 'kpm', label: 'Preserve knowledge' },
        ],
        primary: true,
        live: false,
        help: 'Trains the directions that the pictures use most, to learn them fast, or those they use least, to keep what they need.',
      },
      loraSettings.r,
      { ...loraSettings.alpha, default: 8 },
      loraSettings.rslora,
      { ...loraSettings.scale, label: 'CorDA scale' },
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings) {
    const targets = matrixTargets(model.modules, settings, 'CorDA');
    const momentOf = momentsInParts([...targets.values()]);
    const rank = settings.r as number;
    return startedAttachment(targets, settings, async (m, base) => {
      const w = matrixOf({ shape: m.shape, data: await base.weight(`${m.path}.weight`) });
      const parts = orientedComponents(w, matrixOf(await momentOf(m, base)), m.path);
      const from = settings.mode === 'ipm' ? 0 : parts.values.length - rank;
      return componentFactors(
        parts.values.subarray(from, from + rank),
        rowsOf(parts.left, from, from + rank),
        rowsOf(parts.right, from, from + rank),
        loraScale(settings),
      );
    });
  },

  toLowRank: startedUpdates,
};

/**
 * W = Σ values[i] leftᵢᵀ rightᵢ by the singular values of W C, strongest first; `right` is Vᵀ C⁻¹. Throws `MethodError`
 * where C cannot be inverted.
 */
export function orientedComponents(w: Matrix, moment: Matrix, path: string) {
  const n = moment.rows;
  const mean = moment.data.reduce((sum, x, i) => (i % (n + 1) ? sum : sum + x), 0) / n;
  if (!(mean > 0))
    throw new MethodError(`The inputs of '${path}' are all zero. Leave it out of the target modules.`);
  for (let damp = 0.01; damp < 1e3; damp *= 2) {
    const c = { ...moment, data: moment.data.map((x, i) => x / mean + (i % (n + 1) ? 0 : damp)) };
    const l = cholesky(c);
    if (!l) continue;
    const { values, left, right } = svd(multiply(w, c));
    return { values, left, right: solveRows(right, l) };
  }
  throw new MethodError(
    `The inputs of '${path}' have no usable second moment. Add pictures, or leave it out of the target modules.`,
  );
}

/** Second moments of a module's inputs, asked for together with those of the next modules as far as memory allows. */
function momentsInParts(modules: readonly ModuleCard[]) {
  let held: { base: Base; found: Promise<Map<string, Float32Array>>; paths: string[] } | undefined;
  return async ({ path, shape }: ModuleCard, base: Base) => {
    if (held?.base !== base || !held.paths.includes(path)) {
      const paths: string[] = [];
      let numbers = 0;
      for (const m of modules.slice(modules.findIndex((m) => m.path === path))) {
        numbers += m.shape[1] ** 2;
        if (paths.length && numbers > MOMENTS) break;
        paths.push(m.path);
      }
      held = { base, paths, found: base.inputMoments(paths) };
    }
    return { shape: [shape[1]], data: (await held.found).get(path)! };
  };
}
