/** Writes traced graphs as ONNX files. A new operation of the forward pass is a row in `table/`. */
export * from './classifier.ts';
export * from './errors.ts';
export type { ReadParameter } from './fold.ts';
export { table } from './table/index.ts';
export * from './write.ts';
