import type { MethodPicture, ModuleCard, PicturePlace, PictureTerm } from '../describe.ts';
import {
  type Attachment,
  type AttachmentScope,
  type Method,
  MethodError,
  type ModelDescription,
} from './method.ts';

/**
 * A method in one glance, from what it declares: where it steps in comes of its hooks, what learns and how large it is of
 * its parameters and buffers; how these stand together is the formula on its card. Its words, with spaces between:
 * `W` the frozen weight, `branch`, `attention` and `tokens` frozen values of the stream, `tensor:label` a tensor by the end
 * of its name (`@entries`, `@columns` and `@square` for what is drawn upon the weight); all else is written as it stands.
 */
export function pictureOf(
  method: Pick<Method, 'card'>,
  attachment: Attachment,
  model: ModelDescription,
): MethodPicture {
  const words = (method.card.formula ?? '').split(' ').filter(Boolean);
  const termsAt = (path: string) =>
    words.map((word) => termOf(word, path, moduleOf(path, model), attachment, model));
  const tensors = (path: string) => termsAt(path).filter((t) => t.kind === 'tensor').length;
  // A target in the middle, for the first and the last layer are unlike the others; one that has all of the formula.
  const { targets } = attachment;
  const middle = targets.slice(Math.floor(targets.length / 2));
  const most = Math.max(0, ...targets.map(tensors));
  const path = [...middle, ...targets].find((t) => tensors(t) === most) ?? '';
  return { at: placesOf(attachment, model), path, terms: termsAt(path) };
}

const moduleOf = (target: string, { modules }: ModelDescription): ModuleCard | undefined =>
  modules.find((m) => m.path === target) ?? modules.find((m) => target === `${m.path}.bias`);

function termOf(
  word: string,
  target: string,
  weight: ModuleCard | undefined,
  attachment: Attachment,
  model: ModelDescription,
): PictureTerm {
  const width = streamOf(target, model);
  if (word === 'W') {
    const [rows, columns] = weight ? matrix(weight.shape) : [width, width];
    return { kind: 'tensor', label: 'W', rows, columns, state: 'frozen', drawn: 'whole' };
  }
  if (['branch', 'attention', 'tokens', 'norm'].includes(word))
    return { kind: 'box', label: word === 'branch' ? branchOf(target, model) : word };
  const [name, label = ''] = word.split(':');
  const [end, drawn = 'whole'] = name.includes('@')
    ? name.split('@')
    : [name, label.split('@')[1] ?? 'whole'];
  const own = (n: string) =>
    n === end || n === `${target}.${end}` || n === `${target.replace(/\.(bias|weight)$/, '')}.${end}`;
  const learns = attachment.parameters.find((p) => own(p.name));
  const found = learns ?? attachment.buffers?.find((b) => own(b.name));
  if (!found) return { kind: 'sign', text: word };
  const [rows, columns] =
    drawn === 'whole' ? matrix(found.shape) : weight ? matrix(weight.shape) : [width, width];
  const numbers = found.shape.reduce((n, d) => n * d, 1);
  return {
    kind: 'tensor',
    label: label.split('@')[0] || end,
    rows,
    columns,
    state: learns ? 'learns' : 'given',
    drawn: drawn as 'whole',
    share: numbers / (rows * columns),
  };
}

/** A tensor as a matrix; a vector stands upright. Stacks of matrices are drawn as one of them. */
function matrix(shape: readonly number[]): [number, number] {
  if (shape.length < 2) return [shape[0] ?? 1, 1];
  if (shape.length === 3) return [shape[1], shape[2]];
  return [shape[0], shape.slice(1).reduce((n, d) => n * d, 1)];
}

const branchOf = (target: string, { branches }: ModelDescription): string =>
  ({ attention: 'attention', mlp: 'MLP', conv: 'block' })[
    branches.find((b) => b.path === target)?.kind ?? 'mlp'
  ];

const streamOf = (target: string, { branches, attentions }: ModelDescription): number =>
  branches.find((b) => b.path === target)?.width ?? attentions.find((a) => a.path === target)?.width ?? 32;

/** Where its hooks act, in the words of a block's drawing. */
function placesOf(attachment: Attachment, model: ModelDescription): PicturePlace[] {
  if (!attachment.parameters.length) return ['head'];
  const hooks = attachment.intercept(nothing);
  const found = new Set<PicturePlace>();
  if (hooks.tokens) found.add('tokens');
  for (const target of attachment.targets) {
    const module = model.modules.find((m) => m.path === target);
    const branch = model.branches.find((b) => b.path === target);
    if (module && hooks.layer) found.add(placeOfWeight(module, model));
    if (branch && hooks.branch) found.add(branch.kind === 'conv' ? 'block' : branch.kind);
    if (hooks.attention && model.attentions.some((a) => a.path === target)) found.add('attention');
    if (!module && !branch && hooks.parameter)
      found.add(model.norms.some((n) => target.startsWith(`${n.path}.`)) ? 'norms' : 'biases');
  }
  return [...found];
}

function placeOfWeight({ path, kind }: ModuleCard, { attentions }: ModelDescription): PicturePlace {
  if (attentions.some((a) => path.startsWith(`${a.path}.`))) return 'attention weights';
  return kind === 'conv2d' && attentions.length === 0 ? 'convolutions' : 'mlp weights';
}

/** Answers nothing: hooks are looked at here, and not called. */
const nothing: AttachmentScope = {
  training: false,
  pass: 0,
  parameter: refuse,
  buffer: refuse,
  knob: refuse,
  draw: refuse,
  labels: refuse,
  dropout: refuse,
};

function refuse(): never {
  throw new MethodError('A picture asks for no values.');
}

/** A block of a small transformer, for pictures of methods before a backbone is chosen. */
export const exampleModel: ModelDescription = (() => {
  const width = 64;
  const at = 'layers.0';
  const layer = (path: string, shape: number[]): ModuleCard => ({
    path,
    kind: 'linear',
    shape,
    grouped: false,
    block: 0,
  });
  const modules = [
    ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((n) => layer(`${at}.attention.${n}`, [width, width])),
    layer(`${at}.mlp.fc1`, [2 * width, width]),
    layer(`${at}.mlp.fc2`, [width, 2 * width]),
  ];
  const norms = [`${at}.norm_before`, `${at}.norm_after`];
  return {
    modules,
    blocks: 1,
    parameters: [
      ...modules.flatMap(({ path, shape }) => [
        { path: `${path}.weight`, shape, block: 0 },
        { path: `${path}.bias`, shape: [shape[0]], block: 0 },
      ]),
      ...norms.flatMap((path) => [
        { path: `${path}.weight`, shape: [width], block: 0 },
        { path: `${path}.bias`, shape: [width], block: 0 },
      ]),
    ],
    branches: [
      { path: `${at}.attention`, kind: 'attention', width, block: 0 },
      { path: `${at}.mlp`, kind: 'mlp', width, block: 0 },
    ],
    attentions: [{ path: `${at}.attention`, heads: 4, width, keyWidth: width, block: 0 }],
    norms: norms.map((path) => ({ path, block: 0 })),
  };
})();
