/** See `mp3Codec.ts`. */
export { FLACDecoder } from '@wasm-audio-decoders/flac';
