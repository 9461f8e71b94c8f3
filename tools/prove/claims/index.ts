import type { Claim } from '../claim.ts';
import { lora } from './lora.ts';

/** Every claim, in the order of docs/results.md. */
export const claims: readonly Claim[] = [lora];
