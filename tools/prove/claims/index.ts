import type { Claim } from '../claim.ts';
import { adalora } from './adalora.ts';
import { adaptformer } from './adaptformer.ts';
import { corda } from './corda.ts';
import { dora } from './dora.ts';
import { dylora } from './dylora.ts';
import { galore } from './galore.ts';
import { lora } from './lora.ts';
import { lowPrecision } from './lowPrecision.ts';
import { ltSft } from './ltSft.ts';
import { mosa } from './mosa.ts';
import { pAdapter } from './pAdapter.ts';
import { paca } from './paca.ts';
import { peftFamily } from './peftFamily.ts';
import { pissa } from './pissa.ts';
import { quantised } from './quantised.ts';
import { rslora } from './rslora.ts';
import { shira } from './shira.ts';
import { soka } from './soka.ts';
import { esc10, spokenDigits } from './sounds.ts';
import { banking77 } from './texts.ts';
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
  shira,
  paca,
  ltSft,
  galore,
  lowPrecision,
  adaptformer,
  mosa,
  pAdapter,
  vlAdapter,
  quantised,
  spokenDigits,
  esc10,
  banking77,
  ...peftFamily,
];
