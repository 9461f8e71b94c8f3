import type { Settings } from '../../../models/describe.ts';
import { matrixOf, multiply, rowsOf, transpose } from '../../../models/methods/math/matrix.ts';
import { svd } from '../../../models/methods/math/svd.ts';
import { mergedWeights } from '../../../models/methods/merge.ts';
import type { Session } from '../../../workers/session/session.ts';
import { type ArenaOptions, adapterSize, epochsOf, mean, openArena, share, trainRun } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { scoreOf, showScore } from '../paired.ts';

interface Family {
  method: string;
  title: string;
  property: string;
  settings: Settings;
  /** The LoRA it is held against. */
  lora: Settings;
  /** Where it runs, but for the data that the command line may name. */
  arena: ArenaOptions;
  /** Least lead over the probe, and largest lag behind LoRA, in shares; `size` of LoRA's numbers at most. */
  asks: { overProbe: number; underLora?: number; size: number };
  /** A figure of the trained weights that LoRA's have otherwise: larger is better here, smaller there. */
  figure?: {
    name: string;
    of(session: Session): Promise<number>;
    holds(ours: number, theirs: number): number;
  };
}

/** The default backbone, at a side that two cores can train. */
const convolutional: ArenaOptions = {
  data: 'sign-digits',
  common: { image_size: 64, batch_size: 32, lr: 3e-3, schedule: 'cosine' },
};
const transformer: ArenaOptions = {
  data: 'cifar10',
  backbone: 'graft-vit',
  common: { image_size: 32, batch_size: 32, lr: 3e-3, schedule: 'cosine' },
};

/** One claim of a member of PEFT's family: above the probe, with few numbers, held against LoRA. */
function claimOf({ method, title, property, settings, lora, arena: where, asks, figure }: Family): Claim {
  return {
    method,
    title,
    property,
    steps: 120,
    async prove({ seeds, steps, data = where.data }) {
      const arena = await openArena({ ...where, data });
      if (!arena) return null;
      const epochs = epochsOf(arena, steps);
      const runs = [
        [method, settings],
        ['lora', lora],
        ['linear-probe', {}],
      ] as const;
      const found: number[][] = [[], [], []];
      const sizes = [0, 0, 0];
      const figures: number[][] = [[], []];
      const table = [`| seed | ${title} | LoRA | probe |`, '|---|---|---|---|'];
      for (let seed = 1; seed <= seeds; seed++) {
        const cells: string[] = [];
        for (const [i, [id, own]] of runs.entries()) {
          const { session, hits } = await trainRun(arena, id, { ...own, epochs, seed });
          sizes[i] = adapterSize(session);
          if (figure && i < 2) figures[i].push(await figure.of(session));
          session.destroy();
          found[i].push(share(hits));
          cells.push(showScore(scoreOf(hits)));
        }
        table.push(`| ${[seed, ...cells].join(' | ')} |`);
      }
      arena.gpu.destroy();
      const [ours, theirs, probe] = found.map(mean);
      table.push('', `Trained numbers: ${sizes[0]} against LoRA's ${sizes[1]}.`);
      const margins = [ours - probe - asks.overProbe, asks.size - sizes[0] / sizes[1]];
      if (asks.underLora !== undefined) margins.push(ours - theirs + asks.underLora);
      if (figure) {
        const [a, b] = figures.map(mean);
        margins.push(figure.holds(a, b));
        table.push(`${figure.name}: ${a.toPrecision(3)} against LoRA's ${b.toPrecision(3)}.`);
      }
      const margin = Math.min(...margins);
      return {
        what: `${arena.what}, ${steps} steps of ${arena.common.batch_size} at ${settings.lr ?? arena.common.lr}, cosine`,
        ours,
        baseline: theirs,
        margin,
        seeds,
        holds: margin >= 0,
        table,
      };
    },
  };
}

/** The changed weights of each target, before and after, as matrices. */
async function weightsOf(session: Session) {
  const { model, method, settings } = session.options;
  const merged = await mergedWeights(
    method,
    session.attachment,
    settings,
    await session.trained(),
    session.base,
  );
  return Promise.all(
    [...merged].map(async ([path, data]) => {
      const { shape } = model.parameters.find((p) => p.path === path)!;
      return [matrixOf({ shape, data: await model.f32(path) }), matrixOf({ shape, data })] as const;
    }),
  );
}

/** Singular values of the update above a hundredth of its largest, the most of any target; the first 64 outputs tell. */
async function rankOfUpdates(session: Session): Promise<number> {
  const ranks = (await weightsOf(session)).map(([before, after]) => {
    const few = Math.min(64, after.rows);
    const change = after.data.subarray(0, few * after.columns).map((x, i) => x - before.data[i]);
    const { values } = svd({ rows: few, columns: after.columns, data: change });
    return values.filter((v) => v > 0.01 * values[0]).length;
  });
  return Math.max(...ranks);
}

/** How much the products of a layer's outputs with each other have changed, the largest of any target. */
async function changeOfAngles(session: Session): Promise<number> {
  const changes = (await weightsOf(session)).map(([before, after]) => {
    const gram = (m: typeof before) => {
      const part = rowsOf(m, 0, Math.min(64, m.rows));
      return multiply(part, transpose(part)).data;
    };
    const [a, b] = [gram(before), gram(after)];
    const length = (v: Float64Array) => Math.sqrt(v.reduce((n, x) => n + x * x, 0));
    return length(b.map((x, i) => x - a[i])) / length(a);
  });
  return Math.max(...changes);
}

const late = { target_modules: ['blocks.5.3.conv_pw', 'blocks.6.0.conv_pw', 'conv_head'] };
const attention = { target_modules: ['q_proj', 'v_proj'] };

const convolutions = (points: number) =>
  `On late 1×1 convolutions of the default backbone it lies on average at least ${points} points above a linear probe trained for the same steps`;

/** PEFT's own family, one claim each. */
export const peftFamily: readonly Claim[] = [
  claimOf({
    method: 'ia3',
    title: '(IA)³',
    property: `${convolutions(2)}, with at most an eighth of the numbers of a LoRA of rank 8 on the same layers.`,
    settings: { ...late, lr: 3e-2 },
    lora: { ...late, r: 8, lora_alpha: 16 },
    arena: convolutional,
    asks: { overProbe: 0.02, size: 1 / 8 },
  }),
  claimOf({
    method: 'loha',
    title: 'LoHa',
    property: `${convolutions(2)}, at most 3 behind a LoRA of as many numbers (rank 8 against 4), and its update has more directions than LoRA's.`,
    settings: { ...late, r: 4, alpha: 8 },
    lora: { ...late, r: 8, lora_alpha: 16 },
    arena: convolutional,
    asks: { overProbe: 0.02, underLora: 0.03, size: 1 },
    figure: { name: 'Directions of an update', of: rankOfUpdates, holds: (a, b) => (a - b - 1) / 100 },
  }),
  claimOf({
    method: 'lokr',
    title: 'LoKr',
    property: `${convolutions(2)}, at most 5 behind a LoRA of rank 8, with at most a tenth of its numbers.`,
    settings: { ...late, r: 8, alpha: 16 },
    lora: { ...late, r: 8, lora_alpha: 16 },
    arena: convolutional,
    asks: { overProbe: 0.02, underLora: 0.05, size: 0.1 },
  }),
  claimOf({
    method: 'oft',
    title: 'OFT',
    property: `${convolutions(2)}, and the products of a layer's outputs with each other change at most a tenth as much as under a LoRA of rank 8, with at most two fifths of its numbers.`,
    settings: { ...late, oft_block_size: 32 },
    lora: { ...late, r: 8, lora_alpha: 16 },
    arena: convolutional,
    asks: { overProbe: 0.02, size: 0.4 },
    figure: {
      name: 'Relative change of the products of outputs',
      of: changeOfAngles,
      holds: (a, b) => b / 10 - a,
    },
  }),
  claimOf({
    method: 'bitfit',
    title: 'BitFit',
    property:
      'The shifts of the norms in the last 5 blocks of the default backbone, trained, lie on average at least 2 points above a linear probe trained for the same steps, with at most two fifths of the numbers of a LoRA of rank 8 on late 1×1 convolutions.',
    settings: { which: 'all', last_blocks: 5, lr: 1e-2 },
    lora: { ...late, r: 8, lora_alpha: 16 },
    arena: convolutional,
    asks: { overProbe: 0.02, size: 0.4 },
  }),
  ...(
    [
      ['ln-tuning', 'Layer-norm tuning', { last_blocks: 0, lr: 1e-2 }],
      ['prompt-tuning', 'Prompt tuning', { num_virtual_tokens: 10, lr: 1e-2 }],
      ['prefix-tuning', 'Prefix tuning', { num_virtual_tokens: 8, last_blocks: 0, lr: 1e-2 }],
    ] as const
  ).map(([method, title, settings]) =>
    claimOf({
      method,
      title,
      property:
        'On the small embedded transformer it lies on average above a linear probe trained for the same steps, with at most half of the numbers of a LoRA of rank 8 on queries and values.',
      settings,
      lora: { ...attention, r: 8, lora_alpha: 16 },
      arena: transformer,
      asks: { overProbe: 0, size: 0.5 },
    }),
  ),
];
