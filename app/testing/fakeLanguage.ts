import type * as P from '../../workers/protocol.ts';
import { questions } from './fakeTexts.ts';

const rows = [
  ['What ship is that?', 'It is the Bachelor, sir.'],
  ['Whither bound?', 'Homeward, and full of oil.'],
  ['Hast seen the White Whale?', 'No; only heard of him.'],
  ['Will ye come aboard?', 'Thou art too damned jolly. Sail on.'],
];

/** Questions and answers that a decoder learns from. */
export function ships(): P.DatasetView {
  const counts = { train: 180, val: 30, test: 30 };
  return {
    ...questions(),
    id: 'ships',
    name: 'ships',
    classes: [{ index: 0, name: 'texts', counts }],
    counts,
    notes: ['Texts from the column “prompt” with “completion” as their second text of ships.jsonl.'],
    table: {
      columns: ['prompt', 'completion'],
      chosen: { text: 'prompt', pair: 'completion', label: null, task: 'causal-lm' },
      rows: Array.from({ length: 10 }, (_, i) => rows[i % rows.length]!),
    },
  };
}

/** A run as one that learnt to answer. */
export function writer(run: P.RunView): P.RunView {
  delete run.probe;
  delete run.test;
  return {
    ...run,
    plan: { ...run.plan, dataset: 'ships', backbone: 'graft-llama', task: 'causal-lm' },
    classes: [],
    datasetName: 'ships',
  };
}

export const tokenReport: P.Report = {
  split: 'test',
  score: { accuracy: 0.836, low: 0.797, high: 0.869, n: 412 },
  baseScore: null,
  losses: { loss: 0.617, start: 4.212 },
  confusion: [],
  classes: [],
  mistakes: [],
};

const said = 'It is the Bachelor, sir, homeward bound and full of oil.';
const alone = 'and the whale, which is not to be seen in the deep, was a thing of the sea.';

/** Writes word by word, with the adapter first. */
export async function writeFake(prompt: string, tell: (written: P.Written) => void): Promise<P.Written> {
  const written: P.Written = { withAdapter: '', withoutAdapter: '', done: false };
  for (const [part, text] of [
    ['withAdapter', said],
    ['withoutAdapter', `${prompt.split(' ').at(-1)} ${alone}`],
  ] as const)
    for (const word of text.split(' ')) {
      written[part] += `${written[part] && ' '}${word}`;
      tell({ ...written });
      await new Promise((done) => setTimeout(done, 20));
    }
  return { ...written, done: true };
}
