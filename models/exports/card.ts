import { stringify } from 'yaml';
import { nounOf } from '../data/kind.ts';
import { type LoadInfo, loadingLines } from './loading.ts';

/** A fraction of `n` samples with its 95 % interval. */
export interface CardScore {
  readonly accuracy: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

/** Everything a model card tells. */
export interface CardInfo {
  readonly title: string;
  readonly method: {
    readonly id: string;
    readonly title: string;
    readonly settings: Readonly<Record<string, unknown>>;
  };
  readonly load: LoadInfo;
  /** Licence of the base weights, as an SPDX name. */
  readonly baseLicence?: string;
  readonly baseAbout?: string;
  readonly data: {
    readonly name: string;
    readonly classes: readonly string[];
    readonly counts: { readonly train: number; readonly val: number; readonly test: number };
    readonly split: string;
    readonly licence?: string;
  };
  readonly seed: number;
  /** Settings of the training itself: rate, schedule, batch size. */
  readonly training: Readonly<Record<string, unknown>>;
  readonly trainableParameters: number;
  readonly curve: {
    readonly steps: number;
    readonly firstLoss: number;
    readonly lastLoss: number;
    readonly bestStep?: number;
    readonly seconds?: number;
  };
  readonly scores: { readonly val?: CardScore; readonly test?: CardScore; readonly probe?: CardScore };
  /** Program, version. */
  readonly versions: Readonly<Record<string, string>>;
}

/** The `README.md` of an adapter: metadata that hubs read, then what it is, how it was made and how to load it. */
export function modelCard(info: CardInfo): string {
  const sections = [
    `---\n${stringify(frontMatter(info))}---`,
    `# ${plain(info.title)}`,
    introduction(info),
    '## Scores',
    scores(info),
    '## Loading it',
    loadingLines(info.load),
    '## Data',
    data(info),
    '## Training',
    training(info),
  ];
  return `${sections.join('\n\n')}\n`;
}

function frontMatter({ load, method, data, scores, baseLicence }: CardInfo): Record<string, unknown> {
  const library = load.library === 'timm' ? 'timm' : 'transformers';
  const score = scores.test ?? scores.val;
  const onHub = load.hubId !== undefined;
  return {
    library_name: 'peft',
    ...(onHub ? { base_model: load.hubId } : {}),
    ...(baseLicence ? { license: baseLicence.toLowerCase() } : {}),
    pipeline_tag: pipelineOf(load),
    tags: [...(onHub ? [`base_model:adapter:${load.hubId}`] : []), method.id, library],
    metrics: ['accuracy'],
    ...(score
      ? {
          'model-index': [
            {
              name: plain(`${method.title} on ${load.baseTitle}`),
              results: [
                {
                  task: { type: pipelineOf(load) },
                  dataset: { name: data.name, type: load.reads === 'text' ? 'text' : `${load.reads}folder` },
                  metrics: [{ type: 'accuracy', value: round(score.accuracy, 4) }],
                },
              ],
            },
          ],
        }
      : {}),
  };
}

/** Names come from dropped files: what would be markup or a new line in Markdown is taken out of their text. */
function plain(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_{}[\]<>#|]/g, '\\$&')
    .trim();
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function percent(value: number): string {
  return `${(value * 100).toFixed(1)} %`;
}

/** The hub's name of what the model does. */
function pipelineOf({ task, reads }: LoadInfo): string {
  const names = {
    'token-classification': 'token-classification',
    'masked-lm': 'fill-mask',
    'causal-lm': 'text-generation',
  };
  return task === 'classification' ? `${reads}-classification` : names[task];
}

function purpose({ task, reads }: LoadInfo, classes: number): string {
  switch (task) {
    case 'classification':
      return `that tells ${classes} classes of ${nounOf[reads]}s apart`;
    case 'token-classification':
      return `that gives each word one of ${classes} tags`;
    case 'masked-lm':
      return 'that fills in hidden tokens';
    case 'causal-lm':
      return 'that writes on from a text';
  }
}

function introduction({ method, load, data, trainableParameters, baseAbout }: CardInfo): string {
  const about = baseAbout ? ` ${baseAbout}` : '';
  return (
    `A ${method.title} adapter for ${plain(load.baseTitle)} ${purpose(load, data.classes.length)}. ` +
    `${trainableParameters.toLocaleString('en')} parameters were trained; the base stayed frozen.${about}`
  );
}

function scores({ scores: { test, val, probe }, curve, load }: CardInfo): string {
  const line = (name: string, score: CardScore | undefined) =>
    score
      ? [
          `| ${name} | ${percent(score.accuracy)} | ${percent(score.low)} to ${percent(score.high)} | ${score.n} |`,
        ]
      : [];
  const rows = [
    ...line('Test', test),
    ...line('Validation', val),
    ...line('Linear probe on the same frozen features', probe),
  ];
  if (rows.length === 0)
    return `No ${nounOf[load.reads]} was kept back, so nothing is known about its accuracy on new ones.`;
  const best =
    curve.bestStep === undefined
      ? ''
      : `\n\nThe weights are those of step ${curve.bestStep}, the best on validation.`;
  const read = test ? ` The test ${nounOf[load.reads]}s were read once, at the end.` : '';
  return `| ${nounOf[load.reads]}s | accuracy | 95 % interval | number |\n| --- | --- | --- | --- |\n${rows.join('\n')}${best}${read && `\n${read}`}`;
}

const samplesOf = { image: 'Pictures', text: 'Texts', audio: 'Sounds' } as const;

function data({ data: { name, classes, counts, split, licence }, load }: CardInfo): string {
  const shown = classes.slice(0, 50).map((label) => plain(label));
  const more =
    classes.length > shown.length ? ` and ${classes.length - shown.length} more (see labels.json)` : '';
  return [
    `- Set: ${plain(name)}${licence ? ` (${plain(licence)})` : ''}`,
    `- ${samplesOf[load.reads]}: ${counts.train} for training, ${counts.val} for validation, ${counts.test} for testing`,
    `- Split: ${plain(split)}`,
    ...(classes.length ? [`- Classes: ${shown.join(', ')}${more}`] : []),
  ].join('\n');
}

function value(setting: unknown): string {
  if (!Array.isArray(setting)) return plain(String(setting));
  const shown = setting.slice(0, 12).map((entry) => `\`${String(entry).replaceAll('`', '')}\``);
  return (
    shown.join(', ') + (setting.length > shown.length ? ` and ${setting.length - shown.length} more` : '')
  );
}

function training({ method, training: settings, seed, curve, versions }: CardInfo): string {
  const rows = Object.entries({ ...method.settings, ...settings, seed }).map(
    ([key, setting]) => `| ${plain(key)} | ${value(setting)} |`,
  );
  const time = curve.seconds === undefined ? '' : `, ${Math.round(curve.seconds)} s`;
  return [
    `${curve.steps} steps${time}; the loss went from ${round(curve.firstLoss, 4)} to ${round(curve.lastLoss, 4)}.`,
    '',
    '| setting | value |',
    '| --- | --- |',
    ...rows,
    '',
    `Made with ${Object.entries(versions)
      .map(([program, version]) => `${plain(program)} ${plain(version)}`)
      .join(', ')}. ` +
      'The file holds alpha / r multiplied into B and `lora_alpha` = r, so that every reader agrees on the scale.',
  ].join('\n');
}
