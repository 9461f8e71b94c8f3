import { ConfigError } from '../backbones/backbone.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Denoiser } from './denoiser.ts';
import { dit } from './dit.ts';
import { unet } from './unet.ts';

// A list holds denoisers of various configurations; each is only ever given its own.
// biome-ignore lint/suspicious/noExplicitAny: heterogeneous by nature, typed in each file
export type AnyDenoiser = Denoiser<any>;

/** Every denoiser that can be read. */
export const denoisers: readonly AnyDenoiser[] = [dit, unet];

/** The denoiser that serves a diffusers `config.json`. Throws `ConfigError` that says what was found and what is served. */
export function denoiserFor(config: JsonObject): AnyDenoiser {
  const denoiser = denoisers.find((d) => d.className === config._class_name);
  if (denoiser) return denoiser;
  const served = denoisers.map((d) => d.className).join(', ');
  throw new ConfigError(
    config._class_name
      ? `This is a '${config._class_name}', which is not supported as a denoiser. Choose a folder of one of: ${served}.`
      : `config.json names no _class_name, as diffusers writes it. Choose a folder of one of: ${served}.`,
  );
}
