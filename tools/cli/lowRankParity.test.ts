import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, expect, test } from 'vitest';
import type { Gpu } from '../../gpu-shaders/index.ts';
import { bytesSource, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import type { Settings } from '../../models/describe.ts';
import { readForm } from '../../models/exports/peftForm.ts';
import { methodById, methodOfConfig } from '../../models/methods/index.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { MemoryFiles } from '../../workers/storage/memory.ts';
import { openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';
import { FolderSamples } from './samples.ts';

const fixtures = 'tools/reference/fixtures';
const shared = {
  batch_size: 8,
  image_size: 32,
  shuffle: false,
  schedule: 'constant',
  lr: 1e-3,
  weight_decay: 0.01,
  clip: 0,
  epochs: 4,
};
const factors = { r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'] };
/** Fixture, method, settings beside those of the file. */
const cases: [string, string, Settings][] = [
  ['dora', 'dora', {}],
  ['pissa', 'pissa', factors],
  ['corda-ipm', 'corda', { ...factors, mode: 'ipm' }],
  ['corda-kpm', 'corda', { ...factors, mode: 'kpm' }],
  ['vera', 'vera', { rate: 1 }],
  ['adalora', 'adalora', { tinit: 0.2, tfinal: 0.3 }],
  ['ia3', 'ia3', {}],
  ['loha', 'loha', {}],
  ['lokr', 'lokr', {}],
  ['lokr-both', 'lokr', {}],
  ['oft', 'oft', {}],
  ['oft-shared', 'oft', {}],
  // PEFT's run had no decay, for here norms and biases have none.
  ['bitfit', 'bitfit', { weight_decay: 0 }],
  ['ln-tuning', 'ln-tuning', { weight_decay: 0 }],
  ['shira', 'shira', { rate: 1 }],
];

/** One device for all: what it has compiled stays compiled. */
let gpu: Promise<Gpu> | undefined;
afterAll(async () => (await gpu)?.destroy());

const tensorsIn = async (path: string) => readSafetensors(bytesSource(await readFile(path)));

/** Settings and tensors of an adapter that PEFT saved. */
async function savedIn(
  folder: string,
  model: Parameters<NonNullable<ReturnType<typeof methodById>['peft']>['read']>[1],
) {
  const config = JSON.parse(await readFile(`${folder}/adapter_config.json`, 'utf8'));
  const method = methodOfConfig(config);
  const { content, saved } = await readForm(
    config,
    await tensorsIn(`${folder}/adapter_model.safetensors`),
    (name) => name.startsWith('classifier.'),
  );
  const found = method.peft!.read(content, model);
  const tensors = new Map([...found.tensors, ...saved]);
  return { method, settings: found.settings, tensors, content };
}

test.each(cases)('20 steps follow PEFT’s %s', { timeout: 600_000 }, async (name, id, settings) => {
  gpu ??= openGpu();
  const folder = `${fixtures}/peft-vit-${name}`;
  const backbone = await openBackbone(`${fixtures}/vit-tiny`);
  const { model } = backbone;
  const dataset = await FolderSamples.open(`${fixtures}/peft-vit-lora/images`, backbone.files.preprocessor!, {
    val: 0,
    test: 0,
    seed: 1,
    fromFolders: true,
  });
  const init = existsSync(`${folder}/init`) ? await savedIn(`${folder}/init`, model) : null;
  const head = await tensorsIn(`${fixtures}/vit-tiny/model.safetensors`);
  const start = new Map<string, { shape: readonly number[]; data: Float32Array }>(
    await Promise.all(
      ['classifier.weight', 'classifier.bias'].map(
        async (n) => [n, { shape: head.info(n).shape, data: await head.f32(n) }] as const,
      ),
    ),
  );
  for (const [key, tensor] of init?.tensors ?? []) start.set(key, tensor);
  const method = methodById(id);
  if (init) expect(init.method).toBe(method);
  const session = await Session.open({
    gpu: await gpu,
    files: new MemoryFiles(),
    backboneHash: backbone.hash,
    model,
    method,
    settings: completeSettings(
      method,
      { ...init?.settings, ...shared, ...settings },
      defaultSettings(method, model, 40),
    ),
    dataset,
    folder: `runs/${name}`,
    start,
    report: () => {},
  });
  const { progress } = await session.run(
    { wish: 'run', turns: [], now: () => 0 },
    { step: () => {}, evaluated: () => {}, notice: (message) => expect.fail(message) },
  );
  const expected = await tensorsIn(`${folder}/expected.safetensors`);
  const worst = async (
    key: string,
    of: (p: (typeof progress.steps)[0]) => number,
    steps = progress.steps.length,
  ) => {
    const values = await expected.f32(key);
    expect(progress.steps).toHaveLength(values.length);
    return Math.max(...progress.steps.slice(0, steps).map((p, i) => Math.abs(of(p) - values[i]) / values[i]));
  };
  const loss = await worst('losses', (p) => p.loss);
  // Behind the last cut PEFT's norm still holds the gradients of what was cut, which ours are zero.
  const norm = await worst('grad_norms', (p) => p.gradNorm, id === 'adalora' ? 14 : undefined);
  const final = await expected.f32('final_logits');
  const largest = Math.max(...final.map(Math.abs));
  const logits = await session.logits([...Array(40).keys()], session.startKnobs());
  const off = Math.max(
    ...logits.flatMap((l, i) => [...l].map((x, j) => Math.abs(x - final[i * l.length + j]))),
  );
  console.log(
    `${name} against PEFT: loss ${loss.toExponential(1)}, gradient norm ${norm.toExponential(1)}, logits in the end ${(off / largest).toExponential(1)} of the largest`,
  );
  expect(loss).toBeLessThan(1e-3);
  expect(norm).toBeLessThan(1e-3);
  expect(off / largest).toBeLessThan(1e-3);

  // The file that PEFT saved in the end computes here what it computes there.
  if (existsSync(`${folder}/final`)) {
    const last = await savedIn(`${folder}/final`, model);
    session.state.writeTensors(new Map([...last.tensors].map(([n, { data }]) => [n, data])));
    const read = await session.logits([...Array(40).keys()], session.startKnobs());
    const apart = Math.max(
      ...read.flatMap((l, i) => [...l].map((x, j) => Math.abs(x - final[i * l.length + j]))),
    );
    expect(apart / largest).toBeLessThan(1e-5);
    // BitFit's file needs a LoRA of nothing, which may sit on another module.
    if (id === 'bitfit') return session.destroy();
    // And what is written of it here has the names and shapes that PEFT gave it.
    const given = { ...session.options.settings, ...last.settings };
    const written = await method.peft!.write(session.attachment, given, last.tensors, session.base);
    const shapes = ({ tensors }: typeof written) => new Map([...tensors].map(([n, t]) => [n, [...t.shape]]));
    expect(shapes(written)).toEqual(shapes(last.content));
  }
  session.destroy();
});
