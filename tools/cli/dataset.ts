import type { SplitSettings } from '../../models/data/split.ts';
import type { Task } from '../../models/tasks/index.ts';
import type { Dataset } from '../../workers/session/ports.ts';
import { type Arguments, required, UsageError } from './args.ts';
import type { OpenBackbone } from './backbone.ts';
import { openLanguage, tokenizerIn } from './language.ts';
import { FolderSamples } from './samples.ts';
import { FileTexts } from './texts.ts';

/** What is trained on: the samples that `--data` names, as the backbone and the task read them. */
export async function openDataset(
  args: Arguments,
  { files, folder, model }: OpenBackbone,
  task: Task,
  size: number,
  split: SplitSettings,
): Promise<Dataset> {
  const data = required(args, 'data');
  if (task.id !== 'classification')
    return openLanguage({
      data,
      task,
      model,
      tokenizer: await tokenizerIn(folder),
      size,
      textColumn: args['text-column'],
      split,
    });
  if (model.backbone.modality === 'text')
    return told(await FileTexts.open(data, args, split, { tokenizer: await tokenizerIn(folder), model }));
  if (!files.preprocessor)
    throw new UsageError(
      `'${folder}' has no preprocessor_config.json, so samples cannot be prepared for it.`,
    );
  return told(await FolderSamples.open(data, files.preprocessor, split));
}

/** Says what was understood of the data, and what was left out. */
function told<D extends FolderSamples | FileTexts>(dataset: D): D {
  for (const note of dataset.account.notes) process.stderr.write(`${note}\n`);
  for (const { path, reason } of dataset.account.rejected)
    process.stderr.write(`Left out: ${path}: ${reason}.\n`);
  return dataset;
}
