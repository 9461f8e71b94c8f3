/**
 * Which of its forms a device runs a product fastest in. All forms add the same terms in the same order, so they give
 * the same bits, and a choice made by the clock does not touch a run's results.
 * - `lone`: each invocation reads all that its tile needs.
 * - `quad`: four neighbours read a quarter of their common rows each, and hand them round by subgroup operations.
 * - `tall`: the same with tiles of twice the rows.
 * - `shared`: a workgroup brings 64 rows and 64 columns into its memory, and all its invocations read from there.
 */
export type ProductForm = 'lone' | 'quad' | 'tall' | 'shared';

/** Who computes a row of a normalisation, softmax or sum: one invocation, or a workgroup whose parts are added last. */
export type RowForm = 'lone' | 'group';

/** What kernels may choose by. Plain data: it is stored with a run, so that a resumed run uses the same kernels. */
export interface Target {
  readonly product: ProductForm;
  readonly rows: RowForm;
  /** Frozen matrices are turned once, into rows of neighbouring columns. */
  readonly packed: boolean;
  /**
   * Factors of products are rounded to f16 and multiplied in it, sums are f32. It changes results, so no measurement
   * chooses it; it takes the `shared` form and a device with `shader-f16`.
   */
  readonly half: boolean;
}

/** Runs everywhere; used where a computation is too small to be worth measuring for. */
export const PLAIN: Target = { product: 'lone', rows: 'lone', packed: false, half: false };

/** Forms to measure on a device with these features. Barriers cost a software adapter more than they can give. */
export function formsFor({
  features,
  software,
}: {
  features: readonly string[];
  software: boolean;
}): ProductForm[] {
  const forms: ProductForm[] = ['lone'];
  if (features.includes('subgroups')) forms.push('quad', 'tall');
  if (!software) forms.push('shared');
  return forms;
}

/** Whether a device can run a target's kernels. */
export function canRun({ product, half }: Target, features: readonly string[]): boolean {
  if ((product === 'quad' || product === 'tall') && !features.includes('subgroups')) return false;
  return !half || features.includes('shader-f16');
}
