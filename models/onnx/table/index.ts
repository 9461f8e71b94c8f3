import type { Row } from '../emitter.ts';
import { chosenRows } from './chosen.ts';
import { layoutRows } from './layout.ts';
import { normRows } from './norms.ts';
import { pointwiseRows } from './pointwise.ts';
import { productRows } from './products.ts';

/**
 * How each operation of a forward pass is written in ONNX, by its name. Operations of gradients, losses and random
 * draws have no row: they are no part of inference.
 */
export const table: Readonly<Record<string, Row>> = {
  ...chosenRows,
  ...layoutRows,
  ...normRows,
  ...pointwiseRows,
  ...productRows,
};
