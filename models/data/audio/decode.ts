import { DecodeError } from '../errors.ts';
import { isSound, type SoundKind, sniff, sniffLength, whyNotSound } from '../sniff.ts';
import { resample } from './resample.ts';
import { type Sound, secondsOf, toMono } from './sound.ts';
import { decodeWav } from './wav.ts';

/** Coded sounds above this are refused before decoding: an hour and more of MP3. */
const maxCodedBytes = 64 * 2 ** 20;

/** What the WASM decoders have in common; each brings its compiled code along as text. */
interface Codec {
  readonly ready: Promise<void>;
  free(): void;
}

interface Decoded {
  readonly channelData: Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
  readonly errors: readonly { readonly message: string }[];
}

const coded: Record<Exclude<SoundKind, 'wav'>, (bytes: Uint8Array) => Promise<Decoded>> = {
  async mp3(bytes) {
    const { MPEGDecoder } = await import('./codecs/mp3Codec.ts');
    return using(new MPEGDecoder(), (codec) => codec.decode(bytes));
  },
  async ogg(bytes) {
    const { OggVorbisDecoder } = await import('./codecs/oggCodec.ts');
    return using(new OggVorbisDecoder(), (codec) => codec.decodeFile(bytes));
  },
  async flac(bytes) {
    const { FLACDecoder } = await import('./codecs/flacCodec.ts');
    return using(new FLACDecoder(), async (codec) => toIntegerScale(await codec.decodeFile(bytes)));
  },
};

/** That decoder divides by the largest integer, WAV and everyone else by the most negative one. */
function toIntegerScale<D extends Decoded & { readonly bitDepth: number }>(decoded: D): D {
  const scale = 2 ** (decoded.bitDepth - 1);
  for (const channel of decoded.channelData)
    for (let i = 0; i < channel.length; i++) channel[i] = Math.round(channel[i] * (scale - 1)) / scale;
  return decoded;
}

/** One instance a file: none is left in the state in which a damaged file put it. Compiled code is shared. */
async function using<C extends Codec>(
  codec: C,
  decode: (codec: C) => Decoded | Promise<Decoded>,
): Promise<Decoded> {
  await codec.ready;
  try {
    return await decode(codec);
  } finally {
    codec.free();
  }
}

/**
 * Decodes WAV, FLAC, MP3 or Ogg Vorbis, told by content: by our own reader and by libFLAC, mpg123 and libvorbis as
 * WASM, the same in page and Node. `path` names the file in errors. Throws `DecodeError`.
 */
export async function decodeSound(bytes: Uint8Array, path: string): Promise<Sound> {
  const kind = sniff(bytes.subarray(0, sniffLength));
  if (!isSound(kind)) throw new DecodeError(path, whyNotSound(kind));
  const sound = kind === 'wav' ? decodeWav(bytes, path) : await decodeCoded(bytes, path, kind);
  if (!sound.channels.length || sound.channels[0].length === 0)
    throw new DecodeError(path, 'there is no sound in it (0 samples)');
  for (const channel of sound.channels)
    for (const x of channel)
      if (!Number.isFinite(x))
        throw new DecodeError(path, 'it has samples that are no numbers; save it again');
  return sound;
}

async function decodeCoded(bytes: Uint8Array, path: string, kind: Exclude<SoundKind, 'wav'>): Promise<Sound> {
  const name = kind.toUpperCase();
  if (bytes.length > maxCodedBytes)
    throw new DecodeError(path, `it is above the 64 MB that one ${name} may have; cut it into clips`);
  const damaged = (why: string) =>
    new DecodeError(path, `this ${name} cannot be decoded: ${why}; save it again`);
  let decoded: Decoded;
  try {
    decoded = await coded[kind](bytes);
  } catch (error) {
    throw damaged((error as Error).message || 'its data is damaged');
  }
  const { channelData, samplesDecoded, sampleRate, errors } = decoded;
  if (errors.length) throw damaged(errors[0].message);
  if (samplesDecoded === 0 || !(sampleRate > 0)) throw damaged('no sound was found in it');
  return { rate: sampleRate, channels: channelData };
}

/** A mono sound at one rate, with what it was before. */
export interface MonoSound {
  readonly samples: Float32Array;
  readonly rate: number;
  readonly seconds: number;
}

/** Decodes, takes the mean of the channels, and resamples to `rate`. Throws `DecodeError`. */
export async function decodeMono(bytes: Uint8Array, path: string, rate: number): Promise<MonoSound> {
  const sound = await decodeSound(bytes, path);
  return { samples: resample(toMono(sound), sound.rate, rate), rate, seconds: secondsOf(sound) };
}
