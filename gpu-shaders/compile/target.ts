/**
 * Which of its forms a device runs a product fastest in. All forms add the same terms in the same order, so they give
 * the same bits, and a choice made by the clock does not touch a run's results.
 * - `lone`: each invocation reads all that its tile needs.
 * - `quad`: four neighbours read a quarter of their common rows each, and hand them round by subgroup operations.
 * - `tall`: the same with tiles of twice the rows.
 */
export type ProductForm = 'lone' | 'quad' | 'tall';

/** What kernels may choose by. */
export interface Target {
  product: ProductForm;
}

/** Runs everywhere; used where a computation is too small to be worth measuring for. */
export const PLAIN: Target = { product: 'lone' };

/** Forms to measure on a device with these features. */
export function formsFor(features: readonly string[]): ProductForm[] {
  return features.includes('subgroups') ? ['lone', 'quad', 'tall'] : ['lone'];
}
