import type { Setting, Settings } from '../models/describe.ts';
import type { Method } from '../models/methods/method.ts';
import { type Model, sizeSetting } from '../models/model.ts';

/** What every method's training shares. The page's form, the CLI's `--set` and validation all read this list. */
export const trainingSettings: readonly Setting[] = [
  {
    key: 'lr',
    label: 'Learning rate',
    kind: 'number',
    default: 1e-3,
    min: 1e-6,
    max: 1,
    step: 1e-6,
    scale: 'log',
    primary: true,
    live: true,
    help: 'How far each step moves the trained weights. Too high and the loss jumps; too low and nothing happens.',
  },
  {
    key: 'epochs',
    label: 'Epochs',
    kind: 'number',
    default: 10,
    min: 0.001,
    max: 1000,
    step: 1,
    scale: 'log',
    primary: true,
    live: false,
    help: 'How often every training sample is seen.',
  },
  {
    key: 'batch_size',
    label: 'Batch size',
    kind: 'integer',
    default: 32,
    min: 1,
    max: 512,
    step: 1,
    scale: 'log',
    primary: true,
    live: false,
    unit: 'samples',
    help: 'Samples in one step. Larger batches give smoother steps and take more memory.',
  },
  {
    key: 'image_size',
    label: 'Image size',
    kind: 'integer',
    default: 224,
    min: 16,
    max: 1024,
    step: 1,
    unit: 'px',
    primary: false,
    live: false,
    modality: 'image',
    help: 'Side to which pictures are brought. Smaller is faster; larger sees finer detail.',
  },
  {
    key: 'max_length',
    label: 'Text length',
    kind: 'integer',
    default: 128,
    min: 8,
    max: 4096,
    step: 8,
    unit: 'tokens',
    primary: false,
    live: false,
    modality: 'text',
    help: 'Tokens that a text is cut to. Shorter is faster; longer reads further.',
  },
  {
    key: 'seconds',
    label: 'Sound length',
    kind: 'number',
    default: 5,
    min: 0.5,
    max: 30,
    step: 0.5,
    unit: 's',
    primary: false,
    live: false,
    modality: 'audio',
    help: 'Seconds that a sound is cut or filled up to. Shorter is faster.',
  },
  {
    key: 'schedule',
    label: 'Schedule',
    kind: 'choice',
    default: 'cosine',
    primary: false,
    live: false,
    options: [
      { value: 'constant', label: 'Constant' },
      { value: 'linear', label: 'Linear to zero' },
      { value: 'cosine', label: 'Cosine to zero' },
    ],
    help: 'How the learning rate falls over the run.',
  },
  {
    key: 'warmup',
    label: 'Warm-up',
    kind: 'number',
    default: 0,
    min: 0,
    max: 0.5,
    step: 0.01,
    primary: false,
    live: false,
    help: 'Share of the steps over which the learning rate rises from zero.',
  },
  {
    key: 'optimizer',
    label: 'Optimiser',
    kind: 'choice',
    default: 'adamw',
    primary: false,
    live: false,
    options: [
      { value: 'adamw', label: 'AdamW' },
      { value: 'sgd', label: 'SGD, momentum 0.9' },
    ],
    help: 'The rule that turns gradients into steps. AdamW needs less tuning.',
  },
  {
    key: 'weight_decay',
    label: 'Weight decay',
    kind: 'number',
    default: 0.01,
    min: 0,
    max: 1,
    step: 0.001,
    primary: false,
    live: false,
    help: 'Pulls trained weights towards zero; a little guards against overfitting.',
  },
  {
    key: 'clip',
    label: 'Gradient clipping',
    kind: 'number',
    default: 1,
    min: 0,
    max: 100,
    step: 0.1,
    primary: false,
    live: false,
    help: 'Largest norm of a step’s gradient; 0 switches clipping off.',
  },
  {
    key: 'label_smoothing',
    label: 'Label smoothing',
    kind: 'number',
    default: 0,
    min: 0,
    max: 0.5,
    step: 0.01,
    primary: false,
    live: false,
    help: 'Share of each label spread over all classes, for labels that are not always right.',
  },
  {
    key: 'augment',
    label: 'Augmentation views',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 16,
    step: 1,
    primary: false,
    live: false,
    modality: 'image',
    help: 'Flipped and cropped copies of each picture, computed once beside it; 0 trains on the pictures as they are.',
  },
  {
    key: 'early_stopping',
    label: 'Early stopping',
    kind: 'boolean',
    default: false,
    primary: false,
    live: false,
    help: 'Ends the run when validation accuracy has not improved for five checks.',
  },
  {
    key: 'shuffle',
    label: 'Shuffle',
    kind: 'boolean',
    default: true,
    primary: false,
    live: false,
    help: 'Draws a new order of the samples for each epoch.',
  },
  {
    key: 'accumulate',
    label: 'Gradient accumulation',
    kind: 'integer',
    default: 1,
    min: 1,
    max: 64,
    step: 1,
    unit: 'parts',
    primary: false,
    live: false,
    help: 'Parts in which a batch is computed one after another. More parts take less memory and more time, and learn the same.',
  },
  {
    key: 'weights',
    label: 'Frozen weights',
    kind: 'choice',
    default: 'as stored',
    primary: false,
    live: false,
    options: [
      { value: 'as stored', label: 'As stored' },
      { value: 'f16', label: 'Half precision' },
      { value: 'int8', label: 'int8, a scale a channel' },
      { value: 'nf4', label: 'NF4, four bits' },
    ],
    help: 'How the frozen weights are held on the GPU: fewer bytes leave room for larger models and cost a little accuracy.',
  },
  {
    key: 'memory_limit',
    label: 'Memory limit',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 65536,
    step: 1,
    unit: 'MB',
    primary: false,
    live: false,
    help: 'Graphics memory for the values of one step; 0 takes what they need. Under a limit some are computed twice, which takes longer and changes no result.',
  },
  {
    key: 'seed',
    label: 'Seed',
    kind: 'integer',
    default: 1,
    min: 0,
    max: 4294967295,
    step: 1,
    primary: false,
    live: false,
    help: 'Start of every random choice: the same seed on the same device gives the same run.',
  },
];

/** A setting outside its range, of the wrong type, or of a name that nothing reads. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

/** Every setting of a method's run, in the form's order. */
export function settingsOf(method: Method): Setting[] {
  return [...method.card.settings, ...trainingSettings];
}

/**
 * Defaults that fit a backbone and the number of training pictures: the method's and the shared ones, then the
 * backbone's, then as many epochs as give a small set some 200 steps and a large one no more than it needs.
 */
export function defaultSettings(method: Method, model: Model, pictures: number): Settings {
  const known = settingsOf(method);
  const asked = known.filter(
    ({ modality = model.backbone.modality }) => modality === model.backbone.modality,
  );
  const values: Settings = Object.fromEntries(asked.map((s) => [s.key, s.default]));
  const size = model.backbone.size(model.config);
  values[sizeSetting[size.unit]] = size.default;
  const preset = model.backbone.presets(model.config)[0];
  if ('target_modules' in values && preset) values.target_modules = preset.targets;
  for (const [key, value] of Object.entries(model.backbone.defaults(model.config)))
    if (key in values) values[key] = value;
  if (pictures > 0) {
    values.batch_size = Math.max(1, Math.min(values.batch_size as number, pictures));
    const perEpoch = pictures / (values.batch_size as number);
    values.epochs = Math.min(40, Math.max(3, Math.round(200 / perEpoch)));
  }
  return values;
}

/** Checks given values against the list and fills the rest from `defaults`. Throws `SettingsError`. */
export function completeSettings(method: Method, given: Settings, defaults: Settings): Settings {
  const known = settingsOf(method);
  for (const key of Object.keys(given))
    if (!known.some((s) => s.key === key))
      throw new SettingsError(
        `There is no setting '${key}'. There are: ${known.map((s) => s.key).join(', ')}.`,
      );
  const asked = known.filter((s) => !s.modality || s.key in given || s.key in defaults);
  return Object.fromEntries(
    asked.map((s) => [s.key, checked(s, given[s.key] ?? defaults[s.key] ?? s.default)]),
  );
}

function checked(s: Setting, value: Settings[string]): Settings[string] {
  const fail = (what: string) =>
    new SettingsError(`${s.label} (${s.key}) is ${JSON.stringify(value)}; ${what}.`);
  switch (s.kind) {
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw fail('it takes a number');
      if (s.kind === 'integer' && !Number.isInteger(value)) throw fail('it takes a whole number');
      if (value < (s.min ?? -Infinity) || value > (s.max ?? Infinity))
        throw fail(`it takes ${s.min} to ${s.max}`);
      return value;
    case 'boolean':
      if (typeof value !== 'boolean') throw fail('it takes true or false');
      return value;
    case 'choice':
      if (!s.options?.some((o) => o.value === value))
        throw fail(`it takes one of ${s.options?.map((o) => o.value).join(', ')}`);
      return value;
    case 'modules':
      if (!Array.isArray(value) || !value.every((v) => typeof v === 'string'))
        throw fail('it takes a list of module names');
      return value;
  }
}
