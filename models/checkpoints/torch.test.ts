import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from './bytes.ts';
import { readSafetensors } from './checkpoint.ts';
import { CheckpointError } from './errors.ts';
import { readTorch } from './torch.ts';

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../tools/reference/fixtures/pickles/${name}`, import.meta.url)));
const open = (bytes: Uint8Array, file = 'weights.pt') => readTorch(bytesSource(bytes), file);
const expected = await readSafetensors(bytesSource(fixture('expected.safetensors')));

describe('what torch.save wrote', () => {
  it.each(['zip.pt', 'plain.pt'])(
    '%s: every type, and views of one storage, come out as PyTorch has them',
    async (name) => {
      const checkpoint = await open(fixture(name));
      expect([...checkpoint.names()].sort()).toEqual([...expected.names()].sort());
      for (const tensor of expected.names()) {
        const { dtype, shape } = checkpoint.info(tensor);
        expect([tensor, dtype, shape]).toEqual([
          tensor,
          expected.info(tensor).dtype,
          expected.info(tensor).shape,
        ]);
        expect([tensor, ...(await checkpoint.bytes(tensor))]).toEqual([
          tensor,
          ...(await expected.bytes(tensor)),
        ]);
      }
      // Ranges that begin and end within a view.
      const count = 24;
      const { value: piece } = await checkpoint.pieces('turned', 3, count - 2).next();
      expect([...piece!.bytes]).toEqual([...(await expected.bytes('turned')).subarray(12, (count - 2) * 4)]);
    },
  );

  it('finds the weights among what a training script kept', async () => {
    const checkpoint = await open(fixture('training.pt'));
    expect(checkpoint.names()).toEqual(['w']);
    expect([...(await checkpoint.f32('w'))]).toEqual([1, 1, 1, 1]);
  });

  it('refuses a whole module by its class', async () => {
    await expect(open(fixture('module.pt'))).rejects.toThrow(
      /weights.pt: it holds the Python object torch.nn.modules.linear.Linear, which could run code/,
    );
  });
});

/** A file of the old format whose fourth pickle is given; without storages. */
function plain(main: string): Uint8Array {
  const latin = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
  const head = '\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.';
  return latin(`${head}\x80\x02${main}\x80\x02].`);
}

describe('a pickle that wants to run something', () => {
  it.each([
    ['by name and call', 'cos\nsystem\n(X\x04\x00\x00\x00ls /tR.', 'os.system'],
    ['by a name on the stack', '\x8c\x08builtins\x8c\x04eval\x93.', 'builtins.eval'],
    ['through a part of an allowed module', 'ctorch._utils\n_rebuild_parameter_with_state\n.', '_with_state'],
    ['hidden in a list that is thrown away', '(cposix\nsystem\nl0}.', 'posix.system'],
    ['by a dotted name', 'ccollections\nOrderedDict.__init__.__globals__\n.', 'OrderedDict.__init__'],
  ])('%s is refused, named', async (_, main, name) => {
    const error = await open(plain(main)).catch((e) => e);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain(name);
  });

  it.each([
    ['INST', '(ios\nsystem\n.', '0x69'],
    ['OBJ', '(]o.', '0x6f'],
    ['NEWOBJ', ')\x81.', '0x81'],
    ['EXT1', '\x82\x01.', '0x82'],
    ['a text protocol', 'I1\n.', '0x49'],
    ['a call of a list', '])R.', 'calls what has no name'],
    ['state for a number', 'K\x01}b.', 'sets the state'],
    ['an empty stack', '0.', 'takes what it never gave'],
    ['an unknown memo', 'h\x05.', 'never kept'],
    ['nothing but numbers', 'K\x01.', 'no dictionary'],
    ['a dictionary without tensors', '}.', 'no tensor under a name'],
  ])('%s is refused', async (_, main, message) => {
    await expect(open(plain(main))).rejects.toThrow(message);
    await expect(open(plain(main))).rejects.toBeInstanceOf(CheckpointError);
  });
});

describe('a damaged file', () => {
  it.each(['zip.pt', 'plain.pt'])(
    '%s, cut anywhere or changed, gives an error or sound tensors',
    async (name) => {
      const whole = fixture(name);
      await fc.assert(
        fc.asyncProperty(
          fc.nat(whole.length - 1),
          fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
          fc.boolean(),
          async (length, edits, cut) => {
            const bytes = whole.slice(0, cut ? length : whole.length);
            for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
            try {
              const checkpoint = await open(bytes);
              for (const tensor of checkpoint.names()) {
                const { begin, end } = checkpoint.info(tensor);
                expect((await checkpoint.bytes(tensor)).length).toBe(end - begin);
              }
            } catch (error) {
              if (!(error instanceof CheckpointError)) expect((error as Error).name).toBe('ZipError');
            }
          },
        ),
        { numRuns: 300 },
      );
    },
  );

  it('cut short says so', async () => {
    const bytes = fixture('plain.pt');
    await expect(open(bytes.subarray(0, bytes.length - 3))).rejects.toThrow(
      /breaks off. The file is cut short/,
    );
    await expect(open(fixture('zip.pt').subarray(0, 900))).rejects.toThrow(/damaged or cut short/);
    await expect(open(Uint8Array.of(...bytes, 0))).rejects.toThrow(/last 1 bytes/);
  });
});
