import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import type { Method } from '../../models/methods/method.ts';
import { TaskError, taskOfPlan } from '../../models/tasks/index.ts';
import { type LanguageTask, spellingOf, speltText } from '../datasets/language.ts';
import type { DatasetStore } from '../datasets/store.ts';
import { lengthFor } from '../datasets/texts.ts';
import type { DatasetView, Estimate, RunPlan, Split, TableView, TokenView } from '../protocol.ts';
import { completeSettings, defaultSettings, SettingsError } from '../settings.ts';
import type { Backbones, OpenBackbone } from './backbones.ts';
import { estimateOf } from './estimate.ts';
import type { Speeds } from './speeds.ts';
import type { Trainer } from './trainer.ts';

interface Ports {
  readonly backbones: Backbones;
  readonly datasets: DatasetStore;
  readonly trainer: Trainer;
  readonly speeds: Speeds;
}

/** Estimates kept; a slider comes back to the same values often. */
const kept = 32;

/** Defaults and costs of plans. */
export class Plans {
  readonly #ports: Ports;
  readonly #estimates = new Map<string, Estimate>();
  /** Text lengths by data set and backbone. */
  readonly #lengths = new Map<string, Promise<number>>();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  async defaults(dataset: string | null, backbone: string, method: Method): Promise<Settings> {
    const opened = await this.#ports.backbones.open(backbone);
    const view = dataset === null ? null : await this.#ports.datasets.view(dataset);
    const values = defaultSettings(method, opened.model, view?.counts.train ?? 0);
    if (view?.kind === 'text' && opened.model.backbone.modality === 'text')
      values.max_length = await this.#textLength(view, opened);
    return values;
  }

  /** The text length that fits the data set, as the backbone's tokenizer counts. */
  #textLength(view: DatasetView, backbone: OpenBackbone): Promise<number> {
    const key = `${view.hash}/${view.table?.chosen.task}/${backbone.id}`;
    let found = this.#lengths.get(key);
    if (!found) {
      found = this.#measure(view, backbone);
      found.catch(() => this.#lengths.delete(key));
      this.#lengths.set(key, found);
    }
    return found;
  }

  async #measure({ id, table }: DatasetView, { model, tokenizer }: OpenBackbone): Promise<number> {
    const { datasets } = this.#ports;
    const { rows } = await datasets.open(id);
    const most = model.backbone.size(model.config).max;
    const kept = await tokenizer();
    const task = languageTask(table);
    const spelling = task && spellingOf({ tokenizer: kept, model, task }, most);
    return lengthFor(most, rows.length, async (at) => {
      const words = await datasets.words(id, rows[at].id);
      // What is learnt of the last token stands behind it.
      if (spelling) return speltText(spelling, words, rows[at].path).ids.length + 1;
      return kept.count(words.text, words.pair);
    });
  }

  /** A sample's tokens, cut to `length`. */
  async tokens(dataset: string, backbone: string, sample: number, length: number): Promise<TokenView> {
    const { tokenizer, model } = await this.#ports.backbones.open(backbone);
    const kept = await tokenizer();
    const words = await this.#ports.datasets.words(dataset, sample);
    const task = languageTask((await this.#ports.datasets.view(dataset)).table);
    if (task) {
      const most = model.backbone.size(model.config).max;
      const { ids } = speltText(spellingOf({ tokenizer: kept, model, task }, most), words, 'The first text');
      const cut = Math.max(0, ids.length - length);
      return { sample, words, pieces: kept.piecesOf(ids.slice(0, length)), cut };
    }
    const { text, pair } = words;
    return {
      sample,
      words,
      pieces: kept.pieces(text, pair, length),
      cut: Math.max(0, kept.count(text, pair) - length),
    };
  }

  /** A plan with every setting there, checked. Throws `SettingsError` or `KindError`. */
  async complete(plan: RunPlan): Promise<RunPlan & { settings: Settings }> {
    const method = methodById(plan.method);
    const defaults = await this.defaults(plan.dataset, plan.backbone, method);
    const settings = completeSettings(method, plan.settings, defaults);
    const backbone = await this.#ports.backbones.open(plan.backbone);
    checkSize(backbone, settings);
    if (plan.dataset) checkKind(backbone, await this.#ports.datasets.view(plan.dataset));
    return { ...plan, settings, ...(await this.#taskOf(plan.dataset, backbone)) };
  }

  /** What is learnt of a data set. Throws `TaskError` where the backbone has no head for it. */
  async #taskOf(dataset: string, { card }: OpenBackbone): Promise<Pick<RunPlan, 'task'>> {
    const task = languageTask((await this.#ports.datasets.view(dataset)).table);
    if (!task) return {};
    if (!card.tasks.includes(task))
      throw new TaskError(
        `${card.title} has no head that ${task === 'causal-lm' ? 'writes on' : 'fills gaps'}. Choose a backbone ${task === 'causal-lm' ? 'such as GPT-2, Llama or Qwen2' : 'such as BERT'}, or learn something else of these texts.`,
      );
    return { task };
  }

  /** Throws what does not fit: `SettingsError`, `KindError`, `MethodError`, `NoDatasetError`. */
  async estimate(plan: RunPlan): Promise<Estimate> {
    const { backbones, datasets, trainer, speeds } = this.#ports;
    trainer.accept(methodById(plan.method));
    const { settings, task } = await this.complete(plan);
    const { model } = await backbones.open(plan.backbone);
    const { classes, counts } = await datasets.view(plan.dataset);
    const key = JSON.stringify([
      plan.backbone,
      plan.method,
      settings,
      task,
      classes.length,
      counts,
      speeds.speed,
    ]);
    const known = this.#estimates.get(key);
    if (known) return known;
    const machine = {
      limit: trainer.limits.maxBindingBytes,
      speed: speeds.speed,
      emulated: trainer.backend === 'webgpu' && trainer.software,
    };
    const data = {
      classes: task ? 0 : classes.length,
      counts: counts as Record<Split, number>,
      task: taskOfPlan({ task }),
    };
    const made = estimateOf({ model, method: methodById(plan.method), settings }, data, machine);
    this.#estimates.set(key, made);
    if (this.#estimates.size > kept) this.#estimates.delete(this.#estimates.keys().next().value!);
    return made;
  }
}

/** What is learnt of a table where that is no class. */
function languageTask(table: TableView | null): LanguageTask | null {
  const task = table?.chosen.task ?? 'classification';
  return task === 'classification' ? null : task;
}

/** A data set of another kind than the backbone reads. */
export class KindError extends Error {
  override name = 'KindError';
}

function checkKind({ card }: OpenBackbone, { name, kind }: DatasetView): void {
  if (kind === card.modality) return;
  throw new KindError(
    `“${name}” holds ${samplesOf[kind]}, and ${card.title} reads ${samplesOf[card.modality]}. Choose a backbone for ${samplesOf[kind]}, or another data set.`,
  );
}

const samplesOf = { image: 'pictures', text: 'texts', audio: 'sounds' } as const;

function checkSize({ card, model }: OpenBackbone, settings: Settings): void {
  const { min, max, multiple, unit } = card.size;
  const size = model.sizeIn(settings);
  const steps = size / multiple;
  if (size >= min && size <= max && Math.abs(steps - Math.round(steps)) < 1e-6) return;
  const near = Math.min(max, Math.max(min, Math.round(size / multiple) * multiple));
  throw new SettingsError(
    `${card.title} takes ${samplesOf[card.modality]} of ${min} to ${max} ${unit} in steps of ${multiple}, and ${size} is none of these. Try ${near}.`,
  );
}
