import { nounOf } from '../../models/data/kind.ts';
import type { Pool } from '../datasets/jobs.ts';
import { imageBlob, wantedPicture, wantedSound } from '../datasets/pictures.ts';
import { readText } from '../datasets/texts.ts';
import type { Words } from '../protocol.ts';
import type { SampleValues } from '../session/ports.ts';
import type { OpenBackbone } from './backbones.ts';
import { RunStateError } from './record.ts';
import type { RunSession } from './trainer.ts';

/** A sample that is in no data set, as the run's backbone reads it. Throws `RunStateError` for one of another kind. */
export async function triedSample(
  pool: Pool,
  sample: Blob | Words,
  backbone: OpenBackbone,
  session: RunSession,
): Promise<{ values: SampleValues; thumbnail: Blob }> {
  const { model, preprocessor } = backbone;
  const { modality } = model.backbone;
  const size = model.sizeIn(session.options.settings);
  const isBlob = sample instanceof Blob;
  if (isBlob === (modality === 'text'))
    throw new RunStateError(`This adapter reads ${nounOf[modality]}s. Try one of them.`);
  if (!isBlob)
    return {
      values: readText({ model, tokenizer: await backbone.tokenizer() }, sample, size),
      thumbnail: new Blob(),
    };
  const what = `The ${nounOf[modality]}`;
  const read = async () => new Uint8Array(await sample.arrayBuffer());
  const sound = modality === 'audio';
  const [values, { thumbnail }] = await Promise.all([
    pool.load(read, what, sound ? wantedSound(preprocessor, size) : wantedPicture(preprocessor, size)),
    pool.inspect(read, what),
  ]);
  return { values: sound ? { mel: values } : { pixels: values }, thumbnail: imageBlob(thumbnail) };
}
