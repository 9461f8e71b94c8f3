/**
 * safetensors, read and written. The reader is `checkpoint.ts` over the checks of `header.ts`; the writer is `write.ts`.
 * Format: 8-byte little-endian header length, JSON header, tensor data.
 */
export { type ByteSource, blobSource, bytesSource } from './bytes.ts';
export { Checkpoint, readSafetensors, readSharded } from './checkpoint.ts';
export type { DType } from './dtypes.ts';
export { CheckpointError } from './errors.ts';
export type { TensorInfo } from './header.ts';
export { type TensorToWrite, writeSafetensors } from './write.ts';
