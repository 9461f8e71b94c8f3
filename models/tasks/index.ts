import type { AddedParameter, Attachment } from '../methods/method.ts';
import type { Model } from '../model.ts';
import { classification } from './classification.ts';
import type { Task } from './task.ts';
import { causalLm, maskedLm, tokenClassification } from './tokens.ts';

export * from './attachment.ts';
export * from './classification.ts';
export * from './task.ts';
export * from './tokens.ts';

/** Everything a run trains: the method's parameters, then the head's. */
export const trainedParameters = (
  model: Model,
  attachment: Attachment,
  classes: number,
  task: Task = classification,
): AddedParameter[] => [...attachment.parameters, ...task.head(model, classes)];

/** The task that a plan names; classification where it names none. */
export const taskOfPlan = ({ task }: { task?: Task['id'] }): Task =>
  tasks.find((t) => t.id === task) ?? classification;

/** Every task, the usual one first. */
export const tasks: readonly Task[] = [classification, tokenClassification, causalLm, maskedLm];
