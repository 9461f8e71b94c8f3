import {
  add,
  cast,
  constant,
  equal,
  gatherRows,
  gelu,
  linear,
  matmul,
  mul,
  reshape,
  sub,
  type Tensor,
  where,
} from '../../gpu-shaders/index.ts';
import type { Settings } from '../describe.ts';
import { bottleneckSettings, branchTargets } from './bottleneck.ts';
import type { Attachment, AttachmentScope, Method } from './method.ts';
import { forms, linearPerPicture, type Piece, piecesOf, type Side } from './taskWeights.ts';

/**
 * Bottlenecks z + up(GELU(down z)) behind the attention and the MLP of every block, for several tasks at once, which
 * share their weights as `sharing` says (Sung et al., 2022, section 3.3): single, one adapter for all; multiple, one a
 * task; half, one of the two layers shared. Here the tasks are groups of classes over one backbone: class c, in the data
 * set's order, belongs to task c mod `tasks`. A training step takes each picture through the adapters of its label's
 * task. Afterwards the knob `task` says whose adapters answer; at 0, where the task is not told, their mean does.
 */
export const vlAdapter: Method = {
  card: {
    id: 'vl-adapter',
    title: 'VL-Adapter',
    about:
      'Puts adapters behind attention and MLP for several groups of classes, which share weights or not.',
    paper: {
      title: 'VL-Adapter: Parameter-Efficient Transfer Learning for Vision-and-Language Tasks',
      year: 2022,
      url: 'arxiv.org/abs/2112.06825',
    },
    formula: 'branch + adapter.up.weight:up · GELU · adapter.down.weight:down',
    channels: [],
    settings: [
      {
        key: 'form',
        label: 'Form',
        kind: 'choice',
        default: 'adapter',
        options: [
          { value: 'adapter', label: 'Adapter' },
          { value: 'hyperformer', label: 'Hyperformer' },
          { value: 'compacter', label: 'Compacter' },
        ],
        primary: true,
        live: false,
        help: 'Plain weights, weights that one small network makes for all adapters, or sums of Kronecker products.',
      },
      {
        key: 'sharing',
        label: 'Sharing',
        kind: 'choice',
        default: 'single',
        options: [
          { value: 'single', label: 'One adapter for all tasks' },
          { value: 'half-down', label: 'First layer shared' },
          { value: 'half-up', label: 'Second layer shared' },
          { value: 'multiple', label: 'One adapter a task' },
        ],
        primary: true,
        live: false,
        help: 'Which weights all tasks share: sharing more makes the file smaller and lets tasks learn from each other.',
      },
      {
        key: 'tasks',
        label: 'Tasks',
        kind: 'integer',
        default: 4,
        min: 1,
        max: 32,
        step: 1,
        primary: true,
        live: false,
        help: 'Groups that the classes are dealt to in turn: with 4, the first and the fifth class are of one task.',
      },
      {
        key: 'task',
        label: 'Task in use',
        kind: 'integer',
        default: 0,
        min: 0,
        max: 32,
        step: 1,
        primary: true,
        live: true,
        help: 'Whose adapters answer in evaluation; 0 takes the mean of all tasks’ adapters.',
      },
      {
        key: 'reduction',
        label: 'Reduction',
        kind: 'integer',
        default: 8,
        min: 1,
        max: 64,
        step: 1,
        scale: 'log',
        primary: false,
        live: false,
        help: 'The adapters work on this fraction of the features: 8 is an eighth.',
      },
      {
        key: 'kronecker',
        label: 'Kronecker parts',
        kind: 'integer',
        default: 4,
        min: 1,
        max: 16,
        step: 1,
        primary: false,
        live: false,
        help: 'For Compacter: terms of the sum, and the side of its shared matrices.',
      },
      {
        key: 'embedding',
        label: 'Embedding',
        kind: 'integer',
        default: 8,
        min: 1,
        max: 128,
        step: 1,
        primary: false,
        live: false,
        help: 'For Hyperformer: numbers that stand for a task and for a place.',
      },
      { ...bottleneckSettings.lastBlocks, primary: false },
    ],
  },

  attach(model, settings): Attachment {
    const branches = branchTargets(model, settings, 'VL-Adapter', ['attention', 'mlp']);
    const form = forms[settings.form as string];
    const pieces = piecesOf(branches, copiesOf(settings), settings);
    const at = (path: string, side: Side) => pieces.find((p) => p.path === path && p.side === side);
    return {
      targets: branches.map((b) => b.path),
      parameters: form.parameters(pieces, settings),
      knobs: [{ name: 'task', value: settings.task as number }],
      intercept: (own) => ({
        branch(call) {
          const [down, up] = [at(call.path, 'down'), at(call.path, 'up')];
          if (!down || !up) return null;
          const layer = (x: Tensor, piece: Piece) => applied(own, x, piece, settings);
          const z = call.frozen();
          return add(z, layer(gelu(layer(z, down)), up));
        },
      }),
    };
  },

  unmergeable:
    'VL-Adapter has a nonlinearity between its two layers, so it cannot be folded into weights. It stays behind the branches and is computed at every use.',
};

/** How many tasks have weights of their own, by layer. */
function copiesOf({ sharing, tasks }: Settings): Record<Side, number> {
  const own = tasks as number;
  const shared = (by: string) => sharing === 'single' || sharing === by;
  return { down: shared('half-down') ? 1 : own, up: shared('half-up') ? 1 : own };
}

/** Task of a class: classes are dealt to tasks in turn. */
export const taskOf = (label: number, tasks: number): number => label % tasks;

function applied(own: AttachmentScope, x: Tensor, piece: Piece, settings: Settings): Tensor {
  const { copies, out, inputs } = piece;
  const { weight, bias } = forms[settings.form as string].weights(own, piece, settings);
  if (copies > 1 && own.training) {
    const ids = tasksOf(own.labels(), copies);
    const batch = ids.shape[0];
    return linearPerPicture(x, reshape(gatherRows(weight, ids), [batch, out, inputs]), gatherRows(bias, ids));
  }
  const one = (table: Tensor) => (copies > 1 ? matmul(shares(own.knob('task'), copies), table) : table);
  return linear(x, reshape(one(weight), [out, inputs]), reshape(one(bias), [out]));
}

/** Tasks of labels, u32 [B]. */
function tasksOf(labels: Tensor, tasks: number): Tensor {
  const label = cast(labels, 'f32');
  // The half keeps a quotient that is whole from falling below itself by rounding.
  const turns = cast(cast(mul(add(label, 0.5), 1 / tasks), 'u32'), 'f32');
  return cast(sub(label, mul(turns, tasks)), 'u32');
}

/** Each task's share in what answers, [1, tasks]: all of one task's, or the same of each where none is told. */
function shares(task: Tensor, tasks: number): Tensor {
  const numbers = constant(
    Float32Array.from({ length: tasks }, (_, i) => i + 1),
    [1, tasks],
  );
  return where(equal(task, 0), 1 / tasks, equal(numbers, task));
}
