import type { PeftContent } from '../methods/method.ts';
import type { Model } from '../model.ts';
import type { Task } from '../tasks/index.ts';
import type { AdapterContent } from './adapter.ts';

/** The class of the library that an adapter of this task loads onto. */
export function classOf({ backbone }: Model, task: Task['id']): string {
  const { taskClass, languageClass } = backbone;
  if (task === 'token-classification')
    return taskClass.replace('ForSequenceClassification', 'ForTokenClassification');
  return task === 'classification' ? taskClass : (languageClass ?? taskClass);
}

/** PEFT's word for the task, where its own classes for it do more than carry the adapter. */
export function taskTypeOf(model: Model, task: Task['id']): string | undefined {
  if (task === 'token-classification') return 'TOKEN_CLS';
  if (task !== 'causal-lm') return undefined;
  const inputs = model.sampleInputs(1).map((i) => i.name);
  return inputs.includes('decoder_ids') ? 'SEQ_2_SEQ_LM' : 'CAUSAL_LM';
}

/** How paths of the model are called under a task's class: some put nothing before the bare model's names. */
export interface TaskPaths {
  toFile(path: string): string;
  fromFile(path: string): string;
}

export function taskPaths({ backbone }: Model, task: Task['id']): TaskPaths {
  const { basePrefix: from, languagePrefix: to = from } = backbone;
  const same = (path: string) => path;
  if (!task.endsWith('-lm') || to === from) return { toFile: same, fromFile: same };
  const moved = (a: string, b: string) => (path: string) =>
    path.startsWith(a) ? b + path.slice(a.length) : path;
  return { toFile: moved(from, to), fromFile: moved(to, from) };
}

/** Low-rank updates under other paths. */
export const withPaths = (content: AdapterContent, rename: (path: string) => string): AdapterContent => ({
  ...content,
  updates: content.updates.map((u) => ({ ...u, path: rename(u.path) })),
});

/** One of PEFT's other forms under other paths, in tensors and in the configuration alike. */
export function formWithPaths(content: PeftContent, rename: (path: string) => string): PeftContent {
  const all = (value: unknown): unknown =>
    typeof value === 'string' ? rename(value) : Array.isArray(value) ? value.map(all) : value;
  const { target_modules, feedforward_modules } = content.config;
  return {
    ...content,
    config: {
      ...content.config,
      ...(target_modules === undefined ? {} : { target_modules: all(target_modules) as string[] }),
      ...(feedforward_modules === undefined
        ? {}
        : { feedforward_modules: all(feedforward_modules) as string[] }),
    },
    tensors: new Map([...content.tensors].map(([name, tensor]) => [rename(name), tensor])),
  };
}
