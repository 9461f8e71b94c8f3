import { State, sizeOf } from '../../gpu-shaders/index.ts';
import { Chat } from '../../models/data/text/chat.ts';
import type { Settings } from '../../models/describe.ts';
import type { Attachment } from '../../models/methods/method.ts';
import { readAdapter } from '../../workers/session/readAdapter.ts';
import { Writer } from '../../workers/session/write.ts';
import { type Arguments, number, required } from './args.ts';
import { openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';
import { tokenizerIn } from './language.ts';
import { entriesOf } from './samples.ts';

/** `graft generate`: writes a prompt on, with the adapter and, to compare, without it. */
export async function generateCommand(args: Arguments): Promise<void> {
  const prompt = required(args, 'prompt');
  const backbone = await openBackbone(args.backbone, args);
  const { model, folder } = backbone;
  const tokenizer = await tokenizerIn(folder);
  const adapter = args.adapter ? await readAdapter(await entriesOf(args.adapter), model) : null;
  const attachment = adapter?.method.attach(model, adapter.settings) ?? null;
  const text = args.chat ? new Chat(tokenizer).text([{ role: 'user', content: prompt }], true) : prompt;
  const ids = args.chat ? tokenizer.plain(text) : tokenizer.framed(text);
  const tokens = number(args, 'tokens') ?? 64;
  const capacity = Math.min(model.backbone.size(model.config).max, ids.length + tokens);
  const end = tokenizer.idOf(tokenizer.special('eos_token') ?? '');
  const options = {
    tokens,
    temperature: number(args, 'temperature') ?? 0.8,
    topP: number(args, 'top-p') ?? 0.95,
    seed: number(args, 'seed') ?? 1,
    ends: new Set(end === undefined ? [] : [end]),
    knobs: knobsOf(attachment, adapter?.settings ?? {}),
  };
  const gpu = await openGpu();
  const parameters = attachment?.parameters ?? [];
  const state = new State(
    gpu,
    parameters.map((p) => ({ name: p.name, type: { shape: p.shape, dtype: 'f32' } })),
  );
  for (const path of Writer.weights(model, attachment, capacity))
    state.setFrozen(path, await model.load(path));
  for (const { name, shape, dtype = 'f32' } of attachment?.buffers ?? [])
    state.setMutable(name, dtype, new Float32Array(sizeOf(shape)));
  for (const { name } of [...parameters, ...(attachment?.buffers ?? [])])
    state.writeTensor(name, adapter!.tensors.get(name)!.data);
  const write = async (heading: string, own: Attachment | null) => {
    if (heading) process.stdout.write(`--- ${heading}\n`);
    const writer = await Writer.open(state, model, own, capacity);
    const written: number[] = [];
    let shown = '';
    for await (const id of writer.write(ids, options)) {
      written.push(id);
      const now = tokenizer.decode(written);
      // A letter may need several tokens; it is shown once it is whole.
      if (now.endsWith('\ufffd')) continue;
      process.stdout.write(now.slice(shown.length));
      shown = now;
    }
    process.stdout.write('\n');
    writer.destroy();
  };
  await write(args.compare && attachment ? 'with the adapter' : '', attachment);
  if (args.compare && attachment) await write('without it', null);
  state.destroy();
  gpu.destroy();
}

/** Knobs as the adapter's own settings have them. */
function knobsOf(attachment: Attachment | null, settings: Settings): Record<string, number> {
  return Object.fromEntries(
    (attachment?.knobs ?? []).map((k) => [k.name, (settings[k.name] as number | undefined) ?? k.value]),
  );
}
