import type { Claim } from '../claim.ts';
import { adalora } from './adalora.ts';
import { adaptformer } from './adaptformer.ts';
import { corda } from './corda.ts';
import { dora } from './dora.ts';
import { dylora } from './dylora.ts';
import { lora } from './lora.ts';
import { mosa } from './mosa.ts';
import { pAdapter } from './pAdapter.ts';
import { pissa } from './pissa.ts';
import { rslora } from './rslora.ts';
import { soka } from './soka.ts';
import { vera } from './vera.ts';
import { vlAdapter } from './vlAdapter.ts';

/** Every claim, in the order of docs/results.md. */
export const claims: readonly Claim[] = [
  lora,
  rslora,
  dora,
  pissa,
  corda,
  soka,
  vera,
  adalora,
  dylora,
  adaptformer,
  mosa,
  pAdapter,
  vlAdapter,
];
