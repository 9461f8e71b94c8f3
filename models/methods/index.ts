import type { JsonObject } from '../checkpoints/folder.ts';
import type { MethodCard } from '../describe.ts';
import { adalora } from './adalora.ts';
import { adaptformer } from './adaptformer.ts';
import { bitfit } from './bitfit.ts';
import { corda } from './corda.ts';
import { dora } from './dora.ts';
import { dylora } from './dylora.ts';
import { galore } from './galore.ts';
import { ia3 } from './ia3.ts';
import { linearProbe } from './linearProbe.ts';
import { lnTuning } from './lnTuning.ts';
import { loha } from './loha.ts';
import { lokr } from './lokr.ts';
import { lora } from './lora.ts';
import { lowPrecision, lowPrecisionAdaptformer } from './lowPrecision.ts';
import { ltSft } from './ltSft.ts';
import type { Method } from './method.ts';
import { mosa } from './mosa.ts';
import { oft } from './oft.ts';
import { pAdapter } from './pAdapter.ts';
import { paca } from './paca.ts';
import { exampleModel, pictureOf } from './picture.ts';
import { pissa } from './pissa.ts';
import { prefixTuning } from './prefixTuning.ts';
import { promptTuning } from './promptTuning.ts';
import { shira } from './shira.ts';
import { soka } from './soka.ts';
import { vera } from './vera.ts';
import { vlAdapter } from './vlAdapter.ts';

/** Every method, in the order the page lists them. */
export const methods: readonly Method[] = [
  lora,
  dora,
  pissa,
  corda,
  soka,
  vera,
  adalora,
  dylora,
  ia3,
  loha,
  lokr,
  oft,
  bitfit,
  lnTuning,
  promptTuning,
  prefixTuning,
  shira,
  paca,
  ltSft,
  galore,
  lowPrecision,
  lowPrecisionAdaptformer,
  adaptformer,
  mosa,
  pAdapter,
  vlAdapter,
  linearProbe,
];

/** A method as the page shows it. */
export function cardOf(method: Method): MethodCard {
  const { card, unmergeable } = method;
  const settings = Object.fromEntries(card.settings.map((s) => [s.key, s.default]));
  const on = { ...settings, target_modules: ['q_proj', 'v_proj'] };
  const picture = pictureOf(method, method.attach(exampleModel, on), exampleModel);
  return { ...card, picture, ...(unmergeable ? { unmergeable } : {}) };
}

/** The method of that id. Throws a RangeError that lists the ids there are. */
export function methodById(id: string): Method {
  const method = methods.find((m) => m.card.id === id);
  if (!method)
    throw new RangeError(
      `There is no method '${id}'. Choose one of: ${methods.map((m) => m.card.id).join(', ')}.`,
    );
  return method;
}

/** The method that reads a PEFT configuration: LoRA's where no other claims it. */
export function methodOfConfig(config: JsonObject): Method {
  const own = methods.find(
    ({ peft }) => peft?.type === config.peft_type && (peft?.accepts?.(config) ?? true),
  );
  return own ?? methodById('lora');
}
