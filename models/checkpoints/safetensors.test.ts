import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floatToHalf, halfToFloat } from './dtypes.ts';
import {
  blobSource,
  bytesSource,
  CheckpointError,
  readSafetensors,
  readSharded,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.ts';

/** A file with the given header text and bytes of data. */
function file(header: string, data = 0): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const open = (bytes: Uint8Array) => readSafetensors(bytesSource(bytes));
const entry = (name: string, begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') =>
  `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`;

const tensors: fc.Arbitrary<TensorToWrite[]> = fc
  .uniqueArray(
    fc
      .record({
        name: fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'a.b.weight', 'ключ')),
        shape: fc.array(fc.nat(4), { maxLength: 3 }),
        dtype: fc.constantFrom('F32' as const, 'I32' as const, 'U8' as const),
      })
      .map(({ name, shape, dtype }) => {
        const size = shape.reduce((a, b) => a * b, 1);
        const values = Array.from({ length: size }, (_, i) => i * 3 + 1);
        const data = {
          F32: Float32Array.from(values),
          I32: Int32Array.from(values),
          U8: Uint8Array.from(values),
        }[dtype];
        return { name, shape, dtype, data };
      }),
    { selector: (t) => t.name, maxLength: 6 },
  )
  .filter((list) => list.every((t) => t.name !== '__metadata__'));

describe('safetensors', () => {
  it('reads back what it wrote, whatever the names, shapes and order', async () => {
    await fc.assert(
      fc.asyncProperty(
        tensors,
        fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
        async (list, metadata) => {
          const bytes = writeSafetensors(list, metadata);
          const checkpoint = await open(bytes);
          expect([...checkpoint.names()].sort()).toEqual(list.map((t) => t.name).sort());
          expect(new Map(checkpoint.metadata)).toEqual(new Map(Object.entries(metadata)));
          for (const { name, shape, dtype, data } of list) {
            const info = checkpoint.info(name);
            expect([info.dtype, info.shape]).toEqual([dtype, [...shape]]);
            expect(info.begin % ({ F32: 4, I32: 4, U8: 1 }[dtype as 'F32'] ?? 1)).toBe(0);
            expect(await checkpoint.f32(name)).toEqual(Float32Array.from(data));
          }
          expect(writeSafetensors([...list].reverse(), metadata)).toEqual(bytes);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives a typed error or a sound checkpoint for a mutated file', async () => {
    const base = writeSafetensors(
      [
        { name: 'a', shape: [2, 3], data: new Float32Array(6) },
        { name: 'b', shape: [], dtype: 'F16', data: new Float32Array(1) },
      ],
      { format: 'pt' },
    );
    const mutation = fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(mutation, fc.nat(base.length), async (edits, cut) => {
        const bytes = base.slice(0, cut % 3 === 0 ? cut : base.length);
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        try {
          const checkpoint = await open(bytes);
          for (const name of checkpoint.names()) await checkpoint.bytes(name);
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError);
        }
      }),
      { numRuns: 400 },
    );
  });

  const hostile: [string, Uint8Array, RegExp][] = [
    ['a file of 3 bytes', new Uint8Array(3), /fewer than the 8/],
    ['a header length past 2^53', new Uint8Array(16).fill(255), /above the format/],
    ['a header longer than the file', Uint8Array.of(200, 0, 0, 0, 0, 0, 0, 0, 0x7b), /claims 200 bytes/],
    ['a header that is no object', file('[1]'), /does not begin/],
    ['overlapping tensors', file(`{${entry('a', 0, 8)},${entry('b', 4, 12)}}`, 12), /"b" overlaps/],
    ['the same bytes twice', file(`{${entry('a', 0, 8)},${entry('b', 0, 8)}}`, 8), /overlaps/],
    ['a gap', file(`{${entry('a', 0, 4)},${entry('b', 8, 12)}}`, 12), /4 bytes before tensor "b"/],
    ['bytes after the last tensor', file(`{${entry('a', 0, 4)}}`, 9), /last 5 bytes/],
    ['duplicate names', file(`{${entry('a', 0, 4)},${entry('a', 4, 8)}}`, 8), /duplicate key "a"/],
    [
      'a duplicate field',
      file('{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4),
      /duplicate/,
    ],
    ['a size that is not shape x dtype', file(`{${entry('a', 0, 8, [3])}}`, 8), /F32 \[3\] but has 8 bytes/],
    [
      'a product that overflows',
      file(`{${entry('a', 0, 0, [2 ** 32, 2 ** 32, 2 ** 32])}}`),
      /but has 0 bytes/,
    ],
    ['an unknown dtype', file(`{${entry('a', 0, 4, [1], 'toString')}}`, 4), /unknown dtype "toString"/],
    ['a negative size', file(`{${entry('a', 0, 4, [-1])}}`, 4), /no valid shape/],
    [
      'offsets past 2^53',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9007199254740993]}}'),
      /beyond 2\^53/,
    ],
    ['metadata that is not text', file('{"__metadata__":{"a":1}}'), /metadata "a" is not a string/],
    ['endless nesting', file(`{"a":${'['.repeat(10000)}`), /nested more than/],
    [
      'an extra field',
      file('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}}', 4),
      /unknown field "x"/,
    ],
    ['invalid UTF-8', file('{"').fill(0xff, 9), /not valid JSON/],
  ];
  it.each(hostile)('refuses %s', async (_, bytes, message) => {
    await expect(open(bytes)).rejects.toThrow(message);
    await expect(open(bytes)).rejects.toBeInstanceOf(CheckpointError);
  });

  it('takes __proto__ for a name like any other, and padding after the header', async () => {
    const checkpoint = await open(file(`{${entry('__proto__', 0, 4, [])}}   `, 4));
    expect(checkpoint.names()).toEqual(['__proto__']);
    expect(checkpoint.has('toString')).toBe(false);
    await expect(checkpoint.f32('toString')).rejects.toThrow(/no tensor "toString"/);
  });

  it('converts half and bfloat16, at unaligned offsets, from a blob', async () => {
    const data = Uint8Array.of(7, 0x00, 0x3c, 0xc0, 0x3f);
    const header = `{${entry('u', 0, 1, [1], 'U8')},${entry('h', 1, 3, [1], 'F16')},${entry('b', 3, 5, [1], 'BF16')}}`;
    const bytes = file(header, 5);
    bytes.set(data, bytes.length - 5);
    const checkpoint = await readSafetensors(blobSource(new Blob([bytes as BlobPart])));
    expect(await checkpoint.f32('u')).toEqual(Float32Array.of(7));
    expect(await checkpoint.f32('h')).toEqual(Float32Array.of(1));
    expect(await checkpoint.f32('b')).toEqual(Float32Array.of(1.5));
    const buffer = await readSafetensors(bytesSource(Buffer.from(bytes)));
    expect(await buffer.f32('b')).toEqual(Float32Array.of(1.5));
  });

  it('turns every half to f32 and back to the same bits', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = halfToFloat(bits);
      if (Number.isNaN(value)) expect(halfToFloat(floatToHalf(value))).toBeNaN();
      else if (floatToHalf(value) !== bits)
        throw new Error(`half ${bits} came back as ${floatToHalf(value)}`);
    }
    expect([65519, 65520, 2 ** -25, 2 ** -25 * 1.01, 1 + 2 ** -11].map(floatToHalf)).toEqual([
      0x7bff, 0x7c00, 0, 1, 0x3c00,
    ]);
  });

  it('refuses to write a shape that its data does not fill, or a name twice', () => {
    const one = { name: 'a', shape: [2], data: new Float32Array(1) };
    expect(() => writeSafetensors([one])).toThrow(/"a" is F32 \[2\], 8 bytes, but its data has 4/);
    const good = { name: 'a', shape: [1], data: new Float32Array(1) };
    expect(() => writeSafetensors([good, good])).toThrow(/Two tensors are named "a"/);
  });

  it('joins shards by their index and says which shard is missing or strange', async () => {
    const shards: Record<string, Uint8Array> = {
      '1.safetensors': writeSafetensors([{ name: 'a', shape: [1], data: Float32Array.of(1) }], {
        format: 'pt',
      }),
      '2.safetensors': writeSafetensors([{ name: 'b', shape: [1], data: Float32Array.of(2) }]),
    };
    const from = (weight_map: Record<string, string>) =>
      readSharded(
        new TextEncoder().encode(JSON.stringify({ weight_map })),
        (s) => shards[s] && bytesSource(shards[s]),
      );
    const checkpoint = await from({ a: '1.safetensors', b: '2.safetensors' });
    expect([await checkpoint.f32('a'), await checkpoint.f32('b')]).toEqual([
      Float32Array.of(1),
      Float32Array.of(2),
    ]);
    expect(checkpoint.metadata.get('format')).toBe('pt');
    await expect(from({ a: '1.safetensors', b: '3.safetensors' })).rejects.toThrow(
      /names the shard "3.safetensors"/,
    );
    await expect(from({ c: '1.safetensors' })).rejects.toThrow(/1.safetensors: it holds "a"/);
    await expect(from({ a: '1.safetensors', c: '1.safetensors' })).rejects.toThrow(/"c" is missing/);
  });
});

describe('int8 with scales', () => {
  const at = (scales: number) =>
    open(
      (() => {
        const header = `{${entry('w', 0, 6, [2, 3], 'I8')},${entry('w_scale', 8, 8 + 4 * scales, [scales, 1])},${entry('gap', 6, 8, [2], 'I8')}}`;
        const bytes = file(header, 8 + 4 * scales);
        const data = bytes.subarray(bytes.length - 8 - 4 * scales);
        data.set(Int8Array.of(-127, 0, 5, 1, 2, 127));
        new Uint8Array(data.buffer, data.byteOffset + 8).set(
          new Uint8Array(Float32Array.from({ length: scales }, (_, i) => 0.5 * (i + 1)).buffer),
        );
        return bytes;
      })(),
    );

  it('stand for their product, a scale a row, and hide the scales', async () => {
    const checkpoint = await at(2);
    expect(checkpoint.names().sort()).toEqual(['gap', 'w']);
    expect([...(await checkpoint.f32('w'))]).toEqual([-63.5, 0, 2.5, 1, 2, 127]);
    expect([...(await checkpoint.f32('gap'))]).toEqual([0, 0]);
  });

  it('are refused where rows and scales differ in number', async () => {
    await expect((await at(3)).f32('w')).rejects.toThrow('3 scales for the 2 rows of "w"');
  });
});
