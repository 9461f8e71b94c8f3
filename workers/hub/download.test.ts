import { afterEach, describe, expect, test } from 'vitest';
import type { FileTree } from '../../models/checkpoints/folder.ts';
import { readSafetensors, writeSafetensors } from '../../models/checkpoints/safetensors.ts';
import { type Fault, type HubOptions, TestHub } from '../../tools/hub/server.ts';
import { MemoryFiles } from '../storage/memory.ts';
import { same } from '../storage/pointed.ts';
import { parseModel } from './address.ts';
import { type DownloadOptions, download, folderKey } from './download.ts';
import { HubError } from './errors.ts';
import type { Patience } from './patience.ts';
import { hubFetch } from './port.ts';
import { readState } from './state.ts';

const commit = 'c0ffee'.padEnd(40, '0');
const weights = writeSafetensors([
  { name: 'w', shape: [50_000], data: Float32Array.from({ length: 50_000 }, (_, i) => Math.sin(i)) },
]);
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const whole = new Map([
  ['README.md', text('not wanted')],
  ['config.json', text({ model_type: 'vit' })],
  ['preprocessor_config.json', text({ size: 8 })],
  ['model.safetensors', weights],
]);

const quick: Patience = {
  tries: 4,
  firstWait: 1,
  longestWait: 8,
  longestPause: 500,
  silence: 250,
  worthwhile: 10_000,
};

let hub: TestHub | undefined;
afterEach(async () => {
  await hub?.close();
  hub = undefined;
});

async function serve(fault?: HubOptions['fault'], files = whole, more = {}) {
  hub = await TestHub.open({ models: { 'some/model': { commit, files, ...more } }, fault });
  return hub;
}

interface Tried {
  files: MemoryFiles;
  phases: string[];
  waits: string[];
  rooms: number[];
}

function trying(files = new MemoryFiles()): Tried {
  return { files, phases: [], waits: [], rooms: [] };
}

async function load(t: Tried, more: Partial<DownloadOptions> & { name?: string } = {}) {
  const { name = 'some/model', ...change } = more;
  return download(parseModel(name, hub!.address), {
    fetch: hubFetch(),
    files: t.files,
    signal: new AbortController().signal,
    patience: quick,
    folder: (id, sha) => `backbones/${folderKey(id, sha)}/`,
    accept: () => undefined,
    inspect: async (tree: FileTree) => {
      await readSafetensors(tree.get('model.safetensors')!);
    },
    room: async (bytes) => void t.rooms.push(bytes),
    report: (phase, done, total) => void t.phases.push(`${phase} ${done}/${total}`),
    waiting: (why) => void t.waits.push(why),
    ...change,
  });
}

const name = (file: string) => `backbones/${folderKey('some/model', commit)}/${file}`;

async function expectWhole(t: Tried) {
  for (const [file, bytes] of whole)
    if (file !== 'README.md') expect(same((await t.files.read(name(file)))!, bytes)).toBe(true);
  expect((await readState(t.files, name('')))?.files.every(({ done }) => done)).toBe(true);
}

/** Nothing but what the hub has, from its start on: never other bytes. */
async function expectSound(t: Tried) {
  const have = (await t.files.read(name('model.safetensors'))) ?? new Uint8Array();
  expect(same(have, weights.subarray(0, have.length))).toBe(true);
}

describe('a model from a hub', () => {
  test('comes whole, pinned to its commit, config first and weights last', async () => {
    const server = await serve();
    const t = trying();
    const order: string[] = [];
    const got = await load(t, {
      accept: () => void order.push(`config after ${server.requests.length}`),
      inspect: async () => void order.push(`headers after ${server.requests.length}`),
    });
    await expectWhole(t);
    expect(order).toEqual(['config after 2', 'headers after 3']);
    expect(got.state).toMatchObject({ id: 'some/model', revision: 'main', commit });
    expect(server.requests.slice(1).every(({ path }) => path.includes(`/resolve/${commit}/`))).toBe(true);
    expect(server.of('README.md')).toBe(0);
    expect(t.phases.at(-1)).toBe(`Loading from the hub ${weights.length}/${weights.length}`);
    expect(t.rooms[0]).toBeGreaterThan(weights.length);
    // A second time nothing but the list is asked for; a pinned commit asks for nothing.
    const before = server.requests.length;
    expect((await load(t)).hash).toBe(got.hash);
    expect((await load(t, { name: `some/model@${commit}` })).hash).toBe(got.hash);
    expect(server.requests.length).toBe(before + 1);
  });

  test('a family that is not served is refused before anything but its config comes', async () => {
    const server = await serve();
    const t = trying();
    const refuse = () => {
      throw new Error('not served');
    };
    await expect(load(t, { accept: refuse })).rejects.toThrow('not served');
    expect(server.requests).toHaveLength(2);
    await expect(load(t, { inspect: async () => refuse() })).rejects.toThrow('not served');
    expect(server.of('model.safetensors')).toBe(0);
    expect(await t.files.list('')).toEqual([]);
  });

  test('shards come by their index', async () => {
    const shard = 'model-00001-of-00001.safetensors';
    await serve(
      undefined,
      new Map([
        ['config.json', text({})],
        ['model.safetensors.index.json', text({ weight_map: { w: shard } })],
        [shard, weights],
      ]),
    );
    const t = trying();
    await load(t, { inspect: async (tree) => void (await readSafetensors(tree.get(shard)!)) });
    expect(same((await t.files.read(name(shard)))!, weights)).toBe(true);
  });

  const everyKind: [string, (n: number) => Fault | undefined][] = [
    ['resets in the middle of a body, again and again', () => ({ resetAfter: 30_000 })],
    ['is slow', () => ({ slow: 1 })],
    ['knows no ranges', () => ({ noRanges: true })],
    [
      'knows no ranges and resets once',
      (n) => (n === 5 ? { noRanges: true, resetAfter: 90_000 } : { noRanges: true }),
    ],
    ['answers 500, 429 and 503 by turns', (n) => (n % 4 ? { status: [0, 500, 429, 503][n % 4] } : undefined)],
    ['asks for a pause', (n) => (n % 2 ? { status: 429, headers: { 'Retry-After': '0' } } : undefined)],
    ['goes silent once', (n) => (n === 5 ? { silentAfter: 70_000 } : undefined)],
  ];
  test.each(everyKind)('comes whole from a hub that %s', async (_, fault) => {
    await serve(({ number }) => fault(number));
    const t = trying();
    await load(t);
    await expectWhole(t);
  });

  test('goes on where it stopped after the page was closed, by the ETag', async () => {
    let broken = true;
    const server = await serve(({ path, range }) =>
      broken && path.endsWith('model.safetensors') && range === `bytes=0-${weights.length - 1}`
        ? { resetAfter: 60_000 }
        : broken && path.endsWith('model.safetensors')
          ? { status: 503 }
          : undefined,
    );
    const t = trying();
    const headers = { inspect: async () => undefined };
    await expect(load(t, headers)).rejects.toThrow(/answered 503, 4 times in a row/);
    await expectSound(t);
    const have = (await t.files.size(name('model.safetensors')))!;
    expect(have).toBeGreaterThan(0);
    broken = false;
    await load(t, headers);
    await expectWhole(t);
    const last = server.requests.at(-1)!.headers;
    expect(last.range).toBe(`bytes=${have}-${weights.length - 1}`);
    expect(last['if-range']).toMatch(/^"[0-9a-f]{64}"$/);
    expect(t.phases).toContain(`Checking what is here already ${have}/${weights.length}`);
  });

  test('begins anew where the content behind an ETag changed', async () => {
    const other = weights.slice().fill(7, 100_000);
    let n = 0;
    await serve(({ path }) => {
      if (!path.endsWith('model.safetensors')) return undefined;
      n++;
      return n === 1 ? { instead: other, resetAfter: 120_000 } : undefined;
    });
    const t = trying();
    await load(t, { inspect: async () => undefined });
    await expectWhole(t);
  });

  test('bytes that were changed on the way are fetched again, and then refused with nothing kept', async () => {
    const bad = weights.slice();
    bad[bad.length - 1] ^= 1;
    let always = false;
    let n = 0;
    await serve(({ path, range }) => {
      if (!path.endsWith('model.safetensors') || range === 'bytes=0-131071') return undefined;
      return always || n++ === 0 ? { instead: bad } : undefined;
    });
    const t = trying();
    await load(t);
    await expectWhole(t);
    always = true;
    const again = trying();
    await expect(load(again)).rejects.toThrow(/model.safetensors arrived damaged 2 times: its SHA-256/);
    expect(await again.files.size(name('model.safetensors'))).toBe(0);
    await serveAnew();
    await load(again);
    await expectWhole(again);
  });

  async function serveAnew() {
    await hub!.close();
    await serve();
  }

  test('a config changed on the way is refused by git’s name of it', async () => {
    await serve(({ path }) =>
      path.endsWith('config.json') ? { instead: text({ model_type: 'bad' }) } : undefined,
    );
    await expect(load(trying())).rejects.toThrow(/config.json arrived damaged/);
  });

  const refusals: [string, Fault | undefined, object, RegExp, RegExp][] = [
    ['401', undefined, {}, /401.*gated or private, or there is none/, /enter a token/],
    ['401 to a wrong token', undefined, { token: 'wrong' }, /does not accept this token/, /Make a token/],
    ['403', { status: 403 }, { token: 'right' }, /403.*not granted to this token/, /accept its terms/],
    ['404', { status: 404 }, { token: 'right' }, /404.*no such model/, /Check the name/],
    ['451', { status: 451 }, { token: 'right' }, /451/, /try again later/],
    [
      '429 with a long pause',
      { status: 429, headers: { 'Retry-After': '900' } },
      { token: 'right' },
      /too many requests \(429\), and asks to wait 15 min/,
      /Try again then/,
    ],
    [
      '500 for ever',
      { status: 500 },
      { token: 'right' },
      /answered 500, 4 times in a row/,
      /Check the connection/,
    ],
    ['a list that is none', undefined, { token: 'right', name: 'else/model' }, /no such model/, /name/],
    [
      'a revision it lacks',
      undefined,
      { token: 'right', name: 'some/model@v9' },
      /no such revision/,
      /revision/,
    ],
  ];
  test.each(refusals)('says what %s means', async (_, fault, options, message, advice) => {
    await serve(() => fault, whole, { token: 'right' });
    const error = (await load(trying(), options).catch((e) => e)) as HubError;
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(message);
    expect(error.advice).toMatch(advice);
  });

  test('a gated model comes with its token, which is stored nowhere', async () => {
    await serve(undefined, whole, { token: 'hf_secret' });
    const t = trying();
    await load(t, { token: 'hf_secret' });
    for (const file of await t.files.list(''))
      expect(new TextDecoder().decode((await t.files.read(file))!)).not.toContain('hf_secret');
  });

  test('a hub that is not there is told so, and a silent one', async () => {
    await serve();
    const { address } = hub!;
    await hub!.close();
    await expect(load(trying(), {})).rejects.toThrow(`${address} could not be reached, 4 times in a row`);
    await serve(({ path }) => (path.endsWith('config.json') ? { silentAfter: 2 } : undefined));
    await expect(load(trying())).rejects.toThrow(/nothing came for 0 s, 4 times/);
  });

  test('cancelling ends it at once, in a body and in a wait', async () => {
    for (const fault of [{ slow: 20 }, { status: 429, headers: { 'Retry-After': '1' } }]) {
      await serve(({ number }) => (number > 3 ? fault : undefined));
      const stop = new AbortController();
      const t = trying();
      const going = load(t, { signal: stop.signal, patience: { ...quick, longestPause: 9e9 } });
      setTimeout(() => stop.abort(), 60);
      await expect(going).rejects.toThrow(/abort/i);
      await expectSound(t);
      await hub!.close();
    }
  });

  test('a model without config or weights is told so', async () => {
    await serve(undefined, new Map([['model.safetensors', weights]]));
    await expect(load(trying())).rejects.toThrow('no config.json');
    await hub!.close();
    await serve(undefined, new Map([['config.json', text({})]]));
    await expect(load(trying())).rejects.toThrow('neither model.safetensors nor pytorch_model.bin');
  });
});

describe('what a person enters', () => {
  const hosts = 'https://hub.example';
  test.each([
    ['some/model', { id: 'some/model', revision: 'main' }],
    [' gpt2 ', { id: 'gpt2', revision: 'main' }],
    ['some/model@v1.2', { id: 'some/model', revision: 'v1.2' }],
    ['https://hub.example/some/model', { hub: hosts, id: 'some/model', revision: 'main' }],
    ['https://hub.example/some/model/tree/abc', { hub: hosts, id: 'some/model', revision: 'abc' }],
    ['https://hub.example/gpt2/resolve/refs%2Fpr%2F1/config.json', { id: 'gpt2', revision: 'refs/pr/1' }],
  ])('%s', (entered, model) => {
    expect(parseModel(entered)).toMatchObject(model);
    expect(parseModel(entered, 'mirror.example/hf/').hub).toBe('https://mirror.example/hf');
  });

  test.each(['', 'a/b/c', '../x', 'some/model@', 'some/model@../x', 'https://hub.example/', 'a b'])(
    'not “%s”',
    (entered) => {
      expect(() => parseModel(entered)).toThrow(/names no model/);
    },
  );

  test('an address without encryption is refused, but on this machine', () => {
    expect(() => parseModel('a/b', 'http://mirror.example')).toThrow(/not encrypted/);
    expect(parseModel('a/b', 'http://localhost:8000').hub).toBe('http://localhost:8000');
  });
});
