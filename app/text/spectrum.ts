/**
 * Effective rank of a list of singular values: exp of the entropy of their shares (Roy and Vetterli 2007, eq. 3).
 * Zero for an update that is zero.
 */
export function effectiveRank(values: readonly number[]): number {
  const total = values.reduce((a, b) => a + Math.max(0, b), 0);
  if (!(total > 0)) return 0;
  let entropy = 0;
  for (const value of values) {
    const share = Math.max(0, value) / total;
    if (share > 0) entropy -= share * Math.log(share);
  }
  return Math.exp(entropy);
}
