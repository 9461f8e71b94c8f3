import type { Modality } from '../describe.ts';
import { type FileKind, isImage, isSound, whyNotImage, whyNotSound } from './sniff.ts';

/** What the samples of a data set are. */
export type DataKind = Modality;

/** What a person calls one sample. */
export const nounOf: Readonly<Record<DataKind, string>> = { image: 'picture', audio: 'sound', text: 'text' };

/** The kind of data set that a file is a sample of; undefined where it is none by itself. */
export function dataKindOf(kind: FileKind): 'image' | 'audio' | undefined {
  return isImage(kind) ? 'image' : isSound(kind) ? 'audio' : undefined;
}

/** Why a file is no sample among others of a kind. */
export const whyNot: Readonly<Record<'image' | 'audio', (kind: FileKind) => string>> = {
  image: whyNotImage,
  audio: whyNotSound,
};
