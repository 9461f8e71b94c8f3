import { synthesised, synthesisedSounds } from '../../models/data/audio/synth.ts';
import { bytesEntry } from '../../models/data/entry.ts';
import type { LabelledFiles } from '../../models/data/folder.ts';
import { readSprite, type SpriteCard } from '../../models/data/samples.ts';
import type { TextColumns } from '../../models/data/text/texts.ts';
import type { SampleCard } from '../protocol.ts';
import { type FoundTexts, textsIn } from './tables.ts';
import { sha256 } from './view.ts';

/** Data sets that come with the page: as `public/samples/<id>.json` and its sprite, or made when they are opened. */
export const sampleCards: readonly SampleCard[] = [
  {
    id: 'fashion-mnist',
    kind: 'image',
    title: 'Fashion-MNIST',
    about: 'Small grey pictures of ten kinds of clothing, 120 of each.',
    licence: 'MIT, 2017 Zalando SE',
    classes: 10,
    count: 1200,
  },
  {
    id: 'sound-shapes',
    kind: 'audio',
    title: 'Sound shapes',
    about: 'Bells, chirps, clicks, hums and others, one second each, synthesised here.',
    licence: "Graft's own",
    classes: synthesised.classes.length,
    count: synthesised.classes.length * (synthesised.train + synthesised.test),
  },
  {
    id: 'mail-subjects',
    kind: 'text',
    title: 'Mail subjects',
    about: 'Subject lines of mail from the SpamAssassin corpus, wanted and unwanted.',
    licence: 'PDDL-1.0 and CC0-1.0',
    classes: 2,
    count: 500,
  },
];

/** The JSON beside a bundled table of texts. */
interface TableCard {
  readonly table: string;
  readonly sha256: string;
  readonly columns: TextColumns;
}

/** A sample that cannot be opened. */
export class SampleError extends Error {
  override name = 'SampleError';
  readonly advice = 'Reload the page while you are online once, then try again.';
}

/** Fetches a bundled sample; `read` gives a file of the samples' folder. Throws `SampleError`. */
export async function readSample(
  id: string,
  read: (file: string) => Promise<Uint8Array>,
): Promise<{ card: SampleCard; found: LabelledFiles; texts?: FoundTexts }> {
  const card = sampleCards.find((sample) => sample.id === id);
  if (!card) throw new SampleError(`There is no sample "${id}".`);
  if (id === 'sound-shapes') return { card, found: synthesisedSounds() };
  const about: SpriteCard | TableCard = JSON.parse(new TextDecoder().decode(await read(`${id}.json`)));
  const file = 'table' in about ? about.table : about.image;
  const bytes = await read(file);
  if ((await sha256(bytes)) !== about.sha256)
    throw new SampleError(`${file} is not the file this page was built with.`);
  if (!('table' in about)) return { card, found: readSprite(bytes, about) };
  const texts = await textsIn([bytesEntry(file, bytes)], about.columns);
  return { card, found: texts.found, texts };
}
