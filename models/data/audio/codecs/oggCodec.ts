/** See `mp3Codec.ts`. */
export { OggVorbisDecoder } from '@wasm-audio-decoders/ogg-vorbis';
