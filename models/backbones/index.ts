import type { JsonObject } from '../checkpoints/folder.ts';
import { ast } from './ast.ts';
import { type Backbone, ConfigError } from './backbone.ts';
import { bart } from './bart.ts';
import { bert } from './bert.ts';
import { clip } from './clip.ts';
import { clipText } from './clipText.ts';
import { convnext, convnextV2 } from './convnext.ts';
import { deit } from './deit.ts';
import { dinov2, dinov2WithRegisters } from './dinov2.ts';
import { distilbert } from './distilbert.ts';
import { efficientnet } from './efficientnet.ts';
import { efficientnetHf } from './efficientnetHf.ts';
import { gpt2 } from './gpt2.ts';
import { graph } from './graph.ts';
import { llama, mistral, qwen2 } from './llama.ts';
import { mobilenetV2 } from './mobilenetV2.ts';
import { mobileSam } from './mobileSam.ts';
import { resnet } from './resnet.ts';
import { roberta, xlmRoberta } from './roberta.ts';
import { siglip } from './siglip.ts';
import { siglipText } from './siglipText.ts';
import { swin } from './swin.ts';
import { t5 } from './t5.ts';
import { tinyVit } from './tinyVit.ts';
import { vit } from './vit.ts';
import { whisper } from './whisper.ts';

// A list holds backbones of various configurations; each is only ever given its own.
// biome-ignore lint/suspicious/noExplicitAny: heterogeneous by nature, typed in each file
export type AnyBackbone = Backbone<any>;

/** Every architecture that can be read. */
export const backbones: readonly AnyBackbone[] = [
  efficientnet,
  vit,
  deit,
  dinov2,
  dinov2WithRegisters,
  clip,
  siglip,
  swin,
  tinyVit,
  mobileSam,
  convnext,
  convnextV2,
  resnet,
  mobilenetV2,
  efficientnetHf,
  clipText,
  siglipText,
  ast,
  whisper,
  bert,
  roberta,
  xlmRoberta,
  distilbert,
  gpt2,
  llama,
  qwen2,
  mistral,
  t5,
  bart,
  graph,
];

/** The architecture that serves a `config.json`. Throws `ConfigError` that says what was found and what is served. */
export function backboneFor(config: JsonObject): AnyBackbone {
  const backbone = backbones.find((b) => b.accepts(config));
  if (backbone) return backbone;
  const found = config.architecture ?? config.model_type;
  const served = backbones.map((b) => `${b.title} (${b.family})`).join(', ');
  throw new ConfigError(
    found
      ? `This is a '${found}' model, which is not supported. Choose one of: ${served}.`
      : `config.json names neither a model_type nor an architecture. Choose a folder of one of: ${served}.`,
  );
}
