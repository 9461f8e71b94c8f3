/**
 * A small tensor library: trace operations into a graph, differentiate it for the trainable leaves, compile it
 * into a fixed list of WGSL dispatches over planned memory, replay it. Works with any `GPU` object: a browser
 * worker's or Dawn's under Node. Imports nothing of the other rooms. A new operation is one file under `ops/`,
 * exported here, with a row in its test.
 */
export * from './compile/build.ts';
export * from './compile/options.ts';
export { BindingError, MemoryError, MemoryLimitError } from './compile/plan.ts';
export * from './compile/prepare.ts';
export { type Recomputed, schedule } from './compile/schedule.ts';
export * from './compile/target.ts';
export { isWorthTuning } from './compile/tune.ts';
export * from './device.ts';
export { workOf } from './graph/cost.ts';
export * from './graph/gradient.ts';
export * from './graph/leaves.ts';
export * from './graph/narrow.ts';
export type { Op } from './graph/op.ts';
export * from './graph/share.ts';
export * from './graph/split.ts';
export * from './graph/tensor.ts';
export * from './ops/activations.ts';
export * from './ops/attention.ts';
export { plainAttention } from './ops/attentionPlain.ts';
export * from './ops/classify.ts';
export * from './ops/columns.ts';
export * from './ops/compare.ts';
export * from './ops/conv2d.ts';
export * from './ops/dropout.ts';
export * from './ops/elementwise.ts';
export * from './ops/gather.ts';
export * from './ops/groupNorm.ts';
export * from './ops/layout.ts';
export * from './ops/linear.ts';
export * from './ops/matmul.ts';
export * from './ops/nearest.ts';
export * from './ops/norm.ts';
export * from './ops/pool.ts';
export * from './ops/reduce.ts';
export * from './ops/reshape.ts';
export * from './ops/resize.ts';
export * from './ops/rotary.ts';
export * from './ops/sinusoid.ts';
export * from './ops/softmax.ts';
export * from './ops/sparse.ts';
export * from './ops/upsample.ts';
export * from './profile.ts';
export * from './program.ts';
export * from './quantise.ts';
export * from './state.ts';
