/** A graph that cannot be written as ONNX; the message says which operation or shape is in the way. */
export class OnnxExportError extends Error {
  override name = 'OnnxExportError';
  readonly advice = 'Download the adapter instead, and merge it in Python with PEFT.';
}

/** A graph in which the batch cannot be left open: something in it depends on the number of samples. */
export class FixedBatchError extends OnnxExportError {
  override name = 'FixedBatchError';
}
