import type { Claim } from '../claim.ts';
import { adaptformer } from './adaptformer.ts';
import { dylora } from './dylora.ts';
import { lora } from './lora.ts';
import { mosa } from './mosa.ts';
import { pAdapter } from './pAdapter.ts';
import { vlAdapter } from './vlAdapter.ts';

/** Every claim, in the order of docs/results.md. */
export const claims: readonly Claim[] = [lora, dylora, adaptformer, mosa, pAdapter, vlAdapter];
