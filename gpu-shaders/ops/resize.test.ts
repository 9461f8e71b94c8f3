import { describe, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { checkOp, close } from '../testing/checkOp.ts';
import { evaluate } from '../testing/evaluate.ts';
import { resizeBicubic, resizeBilinear, resizeMatrix } from './resize.ts';

// torch.nn.functional.interpolate(align_corners=False) in float64 of (n² mod 7) - 3, n = 0…11, as [3, 4].
const TORCH = [
  [
    'bilinear',
    false,
    [5, 3],
    [
      -2.833333, -0.5, -0.666667, -1.966667, -0.5, -1.533333, -0.666667, -0.5, -2.833333, -1.166667, -0.2,
      -1.733333, -1.5, 0, -1,
    ],
  ],
  [
    'bilinear',
    false,
    [2, 7],
    [
      -2.5, -2.053571, -1.339286, -0.5, 0.125, -0.875, -1.5, -1.75, -0.767857, 0.803571, -0.125, -1.267857,
      -1.410714, -1.5,
    ],
  ],
  [
    'bilinear',
    true,
    [2, 7],
    [
      -2.25, -1.758929, -0.973214, -0.5, -0.241071, -1.169643, -1.75, -1.625, -0.6875, 0.8125, -0.1875,
      -1.401786, -1.616071, -1.75,
    ],
  ],
  [
    'bicubic',
    false,
    [5, 3],
    [
      -3.124343, -0.21875, -0.445102, -1.973546, -0.25475, -1.667898, -0.66088, -0.21875, -2.908565,
      -1.033838, 0.08725, -1.923606, -1.618611, 0.32925, -0.854833,
    ],
  ],
  [
    'bicubic',
    false,
    [2, 7],
    [
      -2.629926, -2.204488, -1.462639, -0.236328, 0.255836, -0.808438, -1.70288, -1.981784, -0.596214,
      1.057365, 0.167969, -1.455575, -1.608118, -1.542428,
    ],
  ],
  [
    'bicubic',
    true,
    [5, 3],
    [
      -3.119986, -0.394397, -0.138595, -1.979644, -0.416785, -1.323713, -0.334096, -0.394397, -2.924485,
      -0.744049, -0.06977, -1.865279, -1.205302, 0.143339, -0.977808,
    ],
  ],
] as const;

describe('resize', () => {
  for (const [filter, antialias, size, expected] of TORCH)
    test(`${filter} to ${size.join('×')}${antialias ? ', antialiased' : ''}`, async () => {
      const x = constant(
        Float32Array.from({ length: 12 }, (_, n) => ((n * n) % 7) - 3),
        [1, 3, 4, 1],
      );
      const { y } = await evaluate({
        y: (filter === 'bilinear' ? resizeBilinear : resizeBicubic)(x, size, { antialias }),
      });
      close(y, expected, 1e-5);
    });

  test('gradient, two samples and channels', () =>
    checkOp({
      shapes: [[2, 3, 5, 2]],
      build: (x) => resizeBicubic(x, [4, 3], { antialias: true }),
      reference: (x) => {
        const rows = resizeMatrix(3, 4, 'bicubic', true);
        const cols = resizeMatrix(5, 3, 'bicubic', true);
        return Float64Array.from({ length: 2 * 4 * 3 * 2 }, (_, i) => {
          const [c, ox, oy, b] = [i % 2, Math.floor(i / 2) % 3, Math.floor(i / 6) % 4, Math.floor(i / 24)];
          let sum = 0;
          for (let y = 0; y < 3; y++)
            for (let z = 0; z < 5; z++)
              sum += rows[oy * 3 + y] * cols[ox * 5 + z] * x[((b * 3 + y) * 5 + z) * 2 + c];
          return sum;
        });
      },
    }));
});
