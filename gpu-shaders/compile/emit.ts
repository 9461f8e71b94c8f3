import type { Node, Tensor } from '../graph/tensor.ts';
import { type Group, isInline, rootOf } from './fuse.ts';
import type { Target } from './target.ts';
import {
  broadcastIndex,
  type Epilogue,
  flatIndex,
  type KernelCall,
  KernelText,
  KernelWriter,
  type Place,
  PointWriter,
} from './writer.ts';

/** Writes the dispatches of one group. */
export function emitGroup(group: Group, placeOf: (t: Tensor) => Place, target: Target): KernelCall[] {
  const epilogue = epilogueOf(group);
  const { anchor } = group;
  if (!anchor) return [emitMaps(group, epilogue, placeOf)];
  const { lower } = anchor.op;
  const flops = lower.kind === 'point' || lower.kind === 'kernels' ? (lower.flops?.(anchor) ?? 0) : 0;
  if (lower.kind === 'point') {
    const text = new KernelText(placeOf, epilogue);
    const flat = flatIndex(group.size);
    const point = new PointWriter(text, anchor.inputs, anchor.outputs[0]);
    const body = `${flat.head}\n${lower.body(point, anchor.attrs)}\n  ${text.finish('i', 'value')}`;
    const { code, bindings } = text.source(body, [flat.workgroup[0], 1, 1]);
    return [{ label: labelOf(group), code, bindings, grid: [flat.grid[0], flat.grid[1], 1], flops }];
  }
  if (lower.kind !== 'kernels') throw new Error(`'${anchor.op.name}' cannot anchor a kernel.`);
  const stored = new Set(group.stores);
  const reads = (i: number) => stored.has(anchor.outputs[i]) || (i === 0 && group.maps.length > 0);
  const writer = new KernelWriter(
    anchor.inputs,
    anchor.outputs,
    labelOf(group),
    placeOf,
    epilogue,
    reads,
    target,
  );
  lower.emit(writer, anchor.attrs);
  if (writer.calls.length && flops) writer.calls[0].flops += flops;
  return writer.calls;
}

function emitMaps(group: Group, epilogue: Epilogue, placeOf: (t: Tensor) => Place): KernelCall {
  const text = new KernelText(placeOf, epilogue);
  const flat = flatIndex(group.size);
  const { code, bindings } = text.source(`${flat.head}\n  ${text.finish('i', '0.0')}`, [
    flat.workgroup[0],
    1,
    1,
  ]);
  return { label: labelOf(group), code, bindings, grid: [flat.grid[0], flat.grid[1], 1], flops: 0 };
}

function labelOf(group: Group): string {
  return [group.anchor?.op.name, ...group.maps.map((m) => m.op.name)].filter(Boolean).join('+');
}

const WGSL_TYPE = { f32: 'f32', f16: 'f32', i32: 'i32', u32: 'u32', int8: 'f32', nf4: 'f32' } as const;

/** The fused maps as statements: each value once, in order, stored where somebody else reads it. */
function epilogueOf(group: Group): Epilogue {
  return {
    type: WGSL_TYPE[group.anchor?.outputs[0].dtype ?? 'f32'],
    emit(text: KernelText): string {
      const local = new Map<Tensor, string>();
      const lines: string[] = [];
      const stored = new Set(group.stores);
      const store = (t: Tensor, name: string) => {
        if (stored.has(t)) lines.push(`  ${text.tensor(t, { writes: true }).set('i', name)}`);
      };
      if (group.anchor) {
        local.set(group.anchor.outputs[0], 'v');
        store(group.anchor.outputs[0], 'v');
      }
      for (const node of group.maps) {
        const name = `v${local.size}`;
        lines.push(
          `  let ${name}: ${WGSL_TYPE[node.outputs[0].dtype]} = ${expressionOf(node, text, local)};`,
        );
        local.set(node.outputs[0], name);
        store(node.outputs[0], name);
      }
      return lines.join('\n');
    },
  };
}

/** A map's value at element `index` of its output, inline values written out in place. */
function expressionOf(node: Node, text: KernelText, local: ReadonlyMap<Tensor, string>, index = 'i'): string {
  const { lower } = node.op;
  if (lower.kind !== 'map') throw new Error(`'${node.op.name}' is not elementwise.`);
  for (const helper of lower.helpers ?? []) text.use(helper);
  const args = node.inputs.map((t) => {
    const root = rootOf(t);
    const known = local.get(root);
    if (known) return known;
    const at = broadcastIndex(node.outputs[0].shape, t.shape, index);
    return isInline(root) ? expressionOf(root.node, text, local, `(${at})`) : text.tensor(root).at(at);
  });
  return lower.expr(args, node.attrs, index);
}
