import type { JsonObject } from '../../models/checkpoints/folder.ts';
import type { FileEntry } from '../../models/data/entry.ts';
import type { Settings } from '../../models/describe.ts';
import { type AdapterContent, AdapterError } from '../../models/exports/adapter.ts';
import { type AdapterFolder, readAdapter as readAdapterFiles } from '../../models/exports/adapterZip.ts';
import { fromKohya } from '../../models/exports/kohya.ts';
import { fromOlder, generationOf } from '../../models/exports/names.ts';
import { fromNative } from '../../models/exports/native.ts';
import { checkKeys } from '../../models/exports/peft.ts';
import { readForm, todaysForm } from '../../models/exports/peftForm.ts';
import { fromPeft } from '../../models/exports/peftImport.ts';
import { formWithPaths, taskPaths, withPaths } from '../../models/exports/taskNames.ts';
import { methodById, methodOfConfig } from '../../models/methods/index.ts';
import type { Method, Tensors } from '../../models/methods/method.ts';
import { type Model, sizeSetting } from '../../models/model.ts';
import type { Task } from '../../models/tasks/index.ts';
import { modulePaths } from './adapter.ts';

/** An adapter made here or elsewhere, brought under the names of `model`. */
export interface ImportedAdapter {
  method: Method;
  settings: Settings;
  tensors: Tensors;
  /** Class names in the order of the head's outputs; null where the file does not say. */
  labels: string[] | null;
  /** `run.json` of an adapter made here. */
  run: JsonObject | null;
  preprocessor: JsonObject | null;
}

/**
 * Reads an adapter: this project's own file where it is there, else PEFT's of either generation of names. Throws
 * `AdapterError` where it does not fit the model, saying what was found.
 */
export async function readAdapter(entries: readonly FileEntry[], model: Model): Promise<ImportedAdapter> {
  const files = await readAdapterFiles(entries);
  const { method, settings, tensors } = await contentOf(files, model);
  return {
    method,
    settings: { ...settings, ...sizeIn(files, model) },
    tensors,
    labels: files.labels ?? null,
    run: files.run ?? null,
    preprocessor: files.preprocessor ?? null,
  };
}

type Content = Pick<ImportedAdapter, 'method' | 'settings' | 'tensors'>;

async function contentOf(files: AdapterFolder, model: Model): Promise<Content> {
  if (files.native) {
    const native = await fromNative(files.native);
    const method = methodById(native.method);
    const { settings, packed } = native;
    if (!packed.size || !method.packed) return checked({ method, settings, tensors: native.tensors }, model);
    const unpacked = method.packed.read(method.attach(model, settings), settings, packed);
    const tensors = new Map([...native.tensors, ...unpacked.tensors]);
    return checked({ method, settings: unpacked.settings, tensors }, model);
  }
  const paths = modulePaths(model);
  if (files.kohya)
    return lowRankContent(
      await fromKohya(files.kohya, model.modules, model.backbone),
      methodById('lora'),
      model,
    );
  const { config, checkpoint } = files.peft!;
  const { fromFile } = taskPaths(model, taskOfConfig(config));
  const method = methodOfConfig(config);
  if (method.peft) {
    const { content, saved } = await readForm(config, checkpoint, (name) => model.isHead(name));
    const named = formWithPaths(content, fromFile);
    const found = method.peft.read(todaysForm(named, paths, model.backbone), model);
    return checked(
      { method, settings: found.settings, tensors: new Map([...found.tensors, ...saved]) },
      model,
    );
  }
  return lowRankContent(withPaths(await fromPeft(config, checkpoint), fromFile), method, model);
}

/** Updates under either generation's names as the tensors of a method of LoRA's kind. */
function lowRankContent(found: AdapterContent, method: Method, model: Model): Content {
  const paths = modulePaths(model);
  const adapted = found.updates.map((u) => u.path);
  const older = generationOf(adapted, paths, model.backbone) === 'older';
  const content = older ? fromOlder(found, paths, model.backbone) : found;
  checkKeys([...content.updates.map((u) => u.path), ...content.saved.keys()], paths);
  if (!content.updates.length)
    return { method: methodById('linear-probe'), settings: {}, tensors: content.saved };
  const from = method.fromLowRank!(content.updates);
  return { method, settings: from.settings, tensors: new Map([...from.tensors, ...content.saved]) };
}

/** The task that PEFT's configuration names, where it names one. */
function taskOfConfig({ task_type, auto_mapping }: JsonObject): Task['id'] {
  if (task_type === 'TOKEN_CLS') return 'token-classification';
  const of = (auto_mapping as { base_model_class?: unknown } | null)?.base_model_class;
  if (`${of}`.endsWith('ForMaskedLM')) return 'masked-lm';
  return task_type === 'CAUSAL_LM' || task_type === 'SEQ_2_SEQ_LM' ? 'causal-lm' : 'classification';
}

/** Throws `AdapterError` where the tensors are not those that the method declares on this model. */
function checked(content: Content, model: Model): Content {
  const { method, settings, tensors } = content;
  const attachment = method.attach(model, settings);
  for (const { name, shape } of [...attachment.parameters, ...(attachment.buffers ?? [])]) {
    const found = tensors.get(name);
    if (!found || `${found.shape}` !== `${shape}`)
      throw new AdapterError(
        `The adapter has ${found ? `'${name}' of shape [${found.shape}]` : `no '${name}'`}, and ${method.card.title} on this backbone takes [${shape}]; choose the backbone that it was trained on.`,
      );
  }
  return content;
}

/** The setting of the samples' size, as the preprocessor or the run says; empty where neither does. */
function sizeIn({ preprocessor, run }: AdapterFolder, model: Model): Settings {
  const { unit } = model.backbone.size(model.config);
  const key = sizeSetting[unit];
  const value = unit === 'px' ? sideOf(preprocessor) : (run?.settings as JsonObject | undefined)?.[key];
  return typeof value === 'number' ? { [key]: value } : {};
}

/** Side of the pictures that a preprocessor makes, where it makes squares. */
function sideOf(preprocessor: JsonObject | undefined): number | undefined {
  const size = (preprocessor?.do_center_crop ? preprocessor.crop_size : preprocessor?.size) as
    | { height?: unknown; width?: unknown }
    | undefined;
  return typeof size?.height === 'number' && size.height === size.width ? size.height : undefined;
}
