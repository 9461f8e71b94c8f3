import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import { makeZip } from '../../models/data/zip.ts';
import type { Settings } from '../../models/describe.ts';
import { AdapterError } from '../../models/exports/adapter.ts';
import type { Method } from '../../models/methods/method.ts';
import { startForm } from './adapter.ts';
import { Order, scheduledRate } from './order.ts';
import type { SampleRecord } from './ports.ts';
import type { Session, SessionOptions } from './session.ts';

/** Scripts that go with every such folder, by name: models/exports/elsewhere/. */
export type Scripts = Readonly<Record<'train.py' | 'train_ray.py' | 'requirements.txt', string>>;

export interface Elsewhere {
  session: Pick<
    Session,
    'shape' | 'samplesOf' | 'steps' | 'startTensors' | 'attachment' | 'base' | 'answersTokens'
  > & { readonly options: Omit<SessionOptions, 'gpu'> };
  backbone: {
    id: string;
    hubId?: string;
    title: string;
    config: JsonObject;
    preprocessor: JsonObject;
    /** Files of the frozen base, to bring it along. */
    files?: ReadonlyMap<string, Uint8Array>;
  };
  scripts: Scripts;
  /** Moves of the learning rate while it trained here, to be made again. */
  journal?: readonly { step: number; knob: string; value: number }[];
}

/** Methods whose files of PEFT's hold the numbers as they are trained, so that training goes on from them. */
const repeatable = ['lora', 'rslora', 'linear-probe', 'ia3', 'ln-tuning'];

/** Throws `AdapterError` where PEFT cannot repeat such a run. */
export function checkRepeatable(method: Method, settings: Settings): void {
  if (!repeatable.includes(method.card.id))
    throw new AdapterError(
      `${method.card.title} is trained here in a way that PEFT does not have, so it cannot be repeated there. Choose one of: ${repeatable.join(', ')}.`,
    );
  if (settings.augment)
    throw new AdapterError(
      'Augmented views are drawn by this studio and cannot be repeated elsewhere. Set augmentation views to 0.',
    );
}

/**
 * A folder, as a zip, that repeats a run on another machine with PEFT and Accelerate: scripts, settings, the samples of
 * every step with its learning rate, the hashes of the data, and the adapter as it starts. Throws `AdapterError` where
 * the run cannot be repeated there, saying why.
 */
export async function elsewhereZip(options: Elsewhere): Promise<Uint8Array> {
  const { session, backbone, scripts } = options;
  const { method, settings, dataset, model } = session.options;
  checkRepeatable(method, settings);
  const train = session.samplesOf('train');
  const side = model.sizeIn(settings);
  const records: SampleRecord[] = [];
  for (const sample of train) {
    if (!dataset.record)
      throw new AdapterError(
        'Runs on this kind of data cannot be repeated elsewhere: pictures and texts can.',
      );
    records.push(await dataset.record(sample, side));
  }
  const vision = model.backbone.modality === 'image';
  const start = await startForm(session, backbone.id);
  const run = {
    library: model.backbone.family === 'timm' ? 'timm' : 'transformers',
    class: start.loadsOnto,
    title: backbone.title,
    hub_id: backbone.hubId ?? null,
    data: vision ? 'pictures' : session.answersTokens ? 'tokens' : 'texts',
    labels: session.answersTokens ? dataset.classes.map(String) : [...dataset.classes],
    length: side,
    interpolate_positions: model.backbone.family === 'vit' && side !== backbone.config.image_size,
    ...Object.fromEntries(
      ['optimizer', 'weight_decay', 'clip', 'label_smoothing', 'seed'].map((key) => [key, settings[key]]),
    ),
    settings,
  };
  const files = new Map<string, Uint8Array | string>([
    ['README.md', readme(options)],
    ...Object.entries(scripts),
    ['run.json', json(run)],
    ['steps.jsonl', lines(stepsOf(options))],
    [
      'data.jsonl',
      lines(
        train.map((s, i) => ({
          path: dataset.samples[s].path,
          label: dataset.samples[s].label,
          ...records[i],
        })),
      ),
    ],
    ['start/adapter_config.json', json(start.files.config)],
    ['start/adapter_model.safetensors', start.files.weights],
  ]);
  if (dataset.classes.length) files.set('start/labels.json', json(dataset.classes));
  if (vision) files.set('start/preprocessor_config.json', json(withImageSize(backbone.preprocessor, side)));
  for (const [name, bytes] of backbone.files ?? []) files.set(`base/${name}`, bytes);
  return makeZip(files);
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** Samples, by their line in data.jsonl, and the learning rate of every step. */
function stepsOf({ session, journal = [] }: Elsewhere) {
  const { settings } = session.options;
  const order = new Order(
    session.samplesOf('train').length,
    settings.batch_size as number,
    settings.seed as number,
    settings.shuffle as boolean,
  );
  const rates = journal.filter((move) => move.knob === 'lr');
  return Array.from({ length: session.steps }, (_, i) => {
    const step = i + 1;
    const top = rates.filter((move) => move.step <= step).at(-1)?.value ?? (settings.lr as number);
    return {
      step,
      lr: scheduledRate(settings.schedule as string, top, step, session.steps, settings.warmup as number),
      samples: order.at(step).map((s) => s.position),
    };
  });
}

function readme({ session, backbone }: Elsewhere): string {
  const { method, dataset, model } = session.options;
  const pictures = model.backbone.modality === 'image';
  return `# ${method.card.title} on ${backbone.title}, to be run elsewhere

This folder repeats one run of Graft with PEFT: the same starting adapter, samples, batches and learning rates, in
${session.steps} steps on ${session.samplesOf('train').length} samples${dataset.classes.length ? ` of ${dataset.classes.length} classes` : ''}.

    pip install -r requirements.txt
    python train.py
    accelerate launch train.py
    python train_ray.py --workers 2

- ${backbone.files ? 'The base model lies in base/.' : backbone.hubId ? `The base model is ${backbone.hubId} on the hub.` : 'Name the folder of the base model with --base.'}
${pictures ? '- Put the data set into data/, or name its folder with --data. data.jsonl lists its files with their SHA-256; others are refused.' : '- The texts are in data.jsonl.'}
- steps.jsonl holds the samples and the learning rate of every step; several processes share each step.
- Dropout of the adapter draws its own numbers there; without it the losses are those of the studio.
- The result is adapter/, which the studio opens by drop, and log.jsonl.
`;
}
