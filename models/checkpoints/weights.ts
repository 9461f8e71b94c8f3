import type { Checkpoint } from './checkpoint.ts';
import { dtypeBits, toFloat32 } from './dtypes.ts';
import { CheckpointError } from './errors.ts';

/** Elements of a tensor, row-major: `from` included, `to` excluded. */
export interface Band {
  readonly from: number;
  readonly to: number;
}

/** Part of a weight; `at` is its first element within the band that was asked for. */
export interface WeightPiece<A extends Float32Array | Uint8Array> {
  readonly at: number;
  readonly data: A;
}

/**
 * A weight as f32, piece by piece: beside what is made of them no more than one piece of at most 16 MB is in memory.
 * Throws `CheckpointError` with the tensor's name where its type has no such meaning, or it holds NaN or infinity.
 */
export async function* floatPieces(
  checkpoint: Checkpoint,
  name: string,
  band: Band = wholeOf(checkpoint, name),
): AsyncGenerator<WeightPiece<Float32Array>> {
  if (isScaled(checkpoint, name)) {
    yield { at: 0, data: (await checkpoint.f32(name)).slice(band.from, band.to) };
    return;
  }
  for await (const { at, dtype, bytes } of checkpoint.pieces(name, band.from, band.to)) {
    const data = toFloat32(dtype, bytes);
    if (!data)
      throw new CheckpointError(
        checkpoint.fileOf(name),
        `tensor "${name}" is ${dtype}, which is not read as f32; save it as F32, F16 or BF16.`,
      );
    yield { at: at - band.from, data };
  }
}

/** A weight as its bytes lie in the file, piece by piece, under the same checks. */
export async function* rawPieces(
  checkpoint: Checkpoint,
  name: string,
  band: Band = wholeOf(checkpoint, name),
): AsyncGenerator<WeightPiece<Uint8Array>> {
  for await (const { at, bytes } of checkpoint.pieces(name, band.from, band.to))
    yield { at: at - band.from, data: bytes };
}

/** A weight as f32, whole: one copy and one piece. */
export async function readFloats(checkpoint: Checkpoint, name: string, band?: Band): Promise<Float32Array> {
  const { from, to } = band ?? wholeOf(checkpoint, name);
  const out = new Float32Array(to - from);
  for await (const { at, data } of floatPieces(checkpoint, name, { from, to })) out.set(data, at);
  return out;
}

/** A weight as its bytes lie in the file, whole. */
export async function readRaw(checkpoint: Checkpoint, name: string, band?: Band): Promise<Uint8Array> {
  const { from, to } = band ?? wholeOf(checkpoint, name);
  const width = dtypeBits[checkpoint.info(name).dtype] / 8;
  const out = new Uint8Array((to - from) * width);
  for await (const { at, data } of rawPieces(checkpoint, name, { from, to })) out.set(data, at * width);
  return out;
}

/** Codes of a byte with scales beside them: a quarter of the weight, so they are read whole. */
const isScaled = (checkpoint: Checkpoint, name: string) =>
  checkpoint.info(name).dtype === 'I8' && checkpoint.has(`${name}_scale`);

function wholeOf(checkpoint: Checkpoint, name: string): Band {
  return { from: 0, to: checkpoint.info(name).shape.reduce((product, n) => product * n, 1) };
}
