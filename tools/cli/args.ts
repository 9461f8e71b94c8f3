import { parseArgs } from 'node:util';
import type { Settings } from '../../models/describe.ts';
import type { Method } from '../../models/methods/method.ts';
import { settingsOf } from '../../workers/settings.ts';

/** A command line that cannot be carried out; ends with exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

const options = {
  backbone: text,
  data: text,
  method: text,
  set: { type: 'string', multiple: true },
  lr: text,
  schedule: text,
  'weight-decay': text,
  clip: text,
  batch: text,
  steps: text,
  epochs: text,
  seed: text,
  'image-size': text,
  'max-length': text,
  weights: text,
  task: text,
  'text-column': text,
  'pair-column': text,
  'label-column': text,
  output: text,
  prompt: text,
  tokens: text,
  temperature: text,
  'top-p': text,
  chat: flag,
  compare: flag,
  val: text,
  test: text,
  'no-shuffle': flag,
  'no-augment': flag,
  init: text,
  adapter: { type: 'string', multiple: true },
  merged: flag,
  rank: text,
  log: text,
  out: text,
  cache: text,
  hub: text,
  'with-base': flag,
  elsewhere: text,
  help: { type: 'boolean', short: 'h' },
} as const;

export type Arguments = ReturnType<typeof parse>;

/** Reads a command line: the command, its positional arguments and options. Throws `UsageError`. */
export function parse(argv: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    const [command, ...rest] = positionals;
    const { adapter: adapters = [], ...others } = values;
    return { command, rest, ...others, adapters, adapter: adapters[0] };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

export function required(args: Arguments, name: 'backbone' | 'data' | 'out' | 'adapter' | 'prompt'): string {
  const value = args[name];
  if (!value) throw new UsageError(`--${name} is missing. See 'graft --help'.`);
  if (name === 'adapter' && args.adapters.length > 1)
    throw new UsageError("--adapter is given once here; 'graft merge' adds several.");
  return value;
}

/** A number given by an option, or undefined where it is absent. */
export function number(
  args: Arguments,
  name: 'steps' | 'val' | 'test' | 'seed' | 'tokens' | 'temperature' | 'top-p' | 'rank',
): number | undefined {
  const value = args[name];
  return value === undefined ? undefined : toNumber(value, `--${name}`);
}

export function toNumber(value: string, what: string): number {
  const n = Number(value);
  if (value.trim() === '' || !Number.isFinite(n))
    throw new UsageError(`${what} takes a number, not '${value}'.`);
  return n;
}

/** Options that stand for a setting of their own name. */
const shorthands = {
  lr: 'lr',
  schedule: 'schedule',
  'weight-decay': 'weight_decay',
  clip: 'clip',
  batch: 'batch_size',
  epochs: 'epochs',
  seed: 'seed',
  'image-size': 'image_size',
  'max-length': 'max_length',
  weights: 'weights',
} as const;

/** Settings that the command line gives, by `--set key=value` and the shorthands. */
export function givenSettings(args: Arguments, method: Method): Settings {
  const given: Settings = {};
  const known = settingsOf(method);
  const put = (key: string, value: string) => {
    const kind = known.find((s) => s.key === key)?.kind;
    if (!kind)
      throw new UsageError(
        `The method '${method.card.id}' has no setting '${key}'. It has: ${known.map((s) => s.key).join(', ')}.`,
      );
    if (kind === 'integer' || kind === 'number') given[key] = toNumber(value, key);
    else if (kind === 'boolean') given[key] = value === 'true';
    else given[key] = kind === 'modules' ? value.split(',') : value;
  };
  for (const pair of args.set ?? []) {
    const at = pair.indexOf('=');
    if (at < 0) throw new UsageError(`--set takes key=value, not '${pair}'.`);
    put(pair.slice(0, at), pair.slice(at + 1));
  }
  for (const [option, key] of Object.entries(shorthands)) {
    const value = args[option as keyof typeof shorthands];
    if (value !== undefined) put(key, value);
  }
  if (args['no-shuffle']) given.shuffle = false;
  if (args['no-augment']) given.augment = 0;
  return given;
}

export const help = `Graft without a page: adapt a frozen backbone, predict with an adapter, export both as one model, look into a file.

  graft train   --backbone NAME|FOLDER --data FOLDER|ZIP|TABLE --out adapter.zip [options]
  graft predict --backbone NAME|FOLDER [--adapter FILE|FOLDER] --data FOLDER|ZIP|TABLE --out predictions.csv
  graft generate --backbone NAME|FOLDER [--adapter FILE|FOLDER] --prompt TEXT [options]
  graft export  --backbone NAME|FOLDER --adapter FILE|FOLDER --out model.onnx
  graft export  --merged … --out model.zip
  graft merge   --backbone NAME|FOLDER --adapter FILE --adapter FILE … --weights 0.5,0.5 --out merged.zip
  graft sample  --backbone graft-dit|FOLDER --out DIR [options]   see graft sample --help
  graft inspect FILE|FOLDER

Backbone: ${'efficientnet-lite0'} (default), vit-s14-saliency, minilm-l6 (texts), whisper-tiny-en (sounds), a Hugging Face
folder, or a model on a hub, owner/name@revision, which is fetched once into the cache. A token for gated models is read from HF_TOKEN.
Data: one folder for each class, an optional train/ val/ test/ level above, or a table of files and labels; for texts
a CSV, TSV, JSON, JSONL, TXT or Parquet file, or a folder of text files in a folder a class.

Export and merge
  --merged                     a zip of config.json, model.safetensors with the adapter in it, and preprocessing
  --weights 0.5,0.5            what each adapter counts in the sum, in their order (1 divided by their number)
  --rank 8                     the nearest sum of that rank, where all are of low rank (exact: all ranks together)
  --out merged.zip             the sum as an adapter; .onnx, or --merged, the whole model with it

Training
  --method lora|linear-probe   what is trained (lora)
  --set KEY=VALUE              any setting, e.g. r=8, lora_alpha=16, target_modules=q_proj,v_proj
  --lr 1e-3                    learning rate
  --schedule constant|linear|cosine
  --weight-decay 0.01          AdamW's decoupled decay
  --clip 1                     largest gradient norm, 0 for none
  --batch 32  --epochs 10  --steps 50 (instead of epochs)  --seed 1  --image-size 224
  --weights int8               how frozen weights are held: 'as stored', f16, int8, nf4
  --val 0 --test 0             shares of each class held out where the data has no such folders
  --no-shuffle                 files in path order, going round at the end
  --no-augment                 pictures as they are
  --init FILE|FOLDER           start from an adapter in PEFT's layout
  --log FILE                   one JSON object a step: step, loss, lr, grad_norm, ms
  --elsewhere FOLDER.zip       write a folder that repeats the run on another machine with PEFT, and do not train
  --with-base                  put the frozen weights and a loader into the zip
  --cache FOLDER               where frozen features, checkpoints and models from a hub are kept (.cache/graft)
  --hub URL                    another hub, or a mirror of the usual one (HF_ENDPOINT)

Texts
  --task causal-lm             classification (default), token-classification, causal-lm or masked-lm
  --text-column text           column of the text; conversations are known by their own fields
  --pair-column NAME           column of the second text, where a sample is two
  --label-column label         column of the class; columns that are not named are guessed, and the guess is told
  --max-length 128             tokens of a sample; what fits nineteen of twenty texts where it is not given

Predicting
  Without --adapter the backbone's own classification head answers, under the names of its config.json.
  --output labels|embeddings   embeddings writes the pooled features of the backbone instead: the mean over tokens where
                               1_Pooling/config.json says so, else what the head reads

Writing
  --tokens 64  --temperature 0.8  --top-p 0.95  --seed 1
  --chat                       the prompt is a question, put as the model's chat template says
  --compare                    write without the adapter too

Exit codes: 0 done, 1 failed, 2 the command line is wrong.`;
