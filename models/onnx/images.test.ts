import { afterAll, expect, test } from 'vitest';
import { input, nodesOf } from '../../gpu-shaders/index.ts';
import { openOnnx } from '../../tools/onnx/node.ts';
import { given, imageFixtures, relative } from '../backbones/imageFixtures.ts';
import { expectedOf, modelIn } from '../backbones/testing.ts';
import { table, writeOnnx } from './index.ts';

const figures: string[] = [];
afterAll(() =>
  console.log(`ONNX Runtime against PyTorch, largest relative difference:\n${figures.join('\n')}`),
);

// Tiny, but odd enough: an open batch, maps that are not square, windows that are padded.
test.each(imageFixtures)('%s as ONNX computes what PyTorch does', async (name) => {
  const [model, expected] = [await modelIn(`tools/reference/fixtures/${name}`), await expectedOf(name)];
  for (const variant of ['', 'odd.'].filter((v) => expected.has(`${v}features`))) {
    const { inputs, values } = await given(model, expected, variant);
    const shapes = Object.entries(inputs).map(([of, t]) => [of, t] as const);
    const traced = (batch: number) => {
      const sample = shapes.map(([of, { shape, dtype }]) => [
        of,
        input(of, [batch, ...shape.slice(1)], { sample: true, dtype }),
      ]);
      return { features: model.trace(Object.fromEntries(sample)).features };
    };
    const operations = nodesOf([traced(2).features]).map((n) => n.op.name);
    expect(operations.filter((op) => !table[op])).toEqual([]);
    const file = await writeOnnx(
      (batch) => ({
        outputs: traced(batch),
        read: (path) => model.unpacked(path),
        name,
        version: '1',
        weights: 'embedded',
      }),
      1,
    );
    expect(file.openBatch).toBe(true);
    const session = await openOnnx().open({ graph: file.graph, weights: null });
    const { features } = await session.run(
      Object.fromEntries(shapes.map(([of, { shape }]) => [of, { data: values[of], shape }])),
    );
    await session.close();
    const difference = relative(features, await expected.f32(`${variant}features`));
    figures.push(`  ${`${name} ${variant}`.padEnd(30)} ${difference.toExponential(1)}`);
    expect(difference, variant).toBeLessThan(1e-4);
  }
});
