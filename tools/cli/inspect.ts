import { readFile, stat } from 'node:fs/promises';
import { bytesSource, type Checkpoint, readSafetensors } from '../../models/checkpoints/safetensors.ts';
import { readAdapter } from '../../models/exports/adapterZip.ts';
import { fromPeft } from '../../models/exports/peftImport.ts';
import { lowRankSpectrum } from '../../models/methods/math/lowRank.ts';
import { type Arguments, UsageError } from './args.ts';
import { entriesOf } from './samples.ts';

/** `graft inspect`: what a safetensors file or an adapter holds. */
export async function inspectCommand(args: Arguments): Promise<void> {
  const [path] = args.rest;
  if (!path) throw new UsageError('Give a file or folder to inspect.');
  const info = await stat(path).catch(() => {
    throw new UsageError(`There is nothing at '${path}'.`);
  });
  const lines =
    info.isFile() && path.endsWith('.safetensors') ? await tensorsOf(path) : await adapterOf(path);
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function tensorsOf(path: string): Promise<string[]> {
  const file = await readSafetensors(bytesSource(new Uint8Array(await readFile(path))), path);
  return [...[...file.metadata].map(([key, value]) => `# ${key}: ${value}`), ...listed(file)];
}

const listed = (file: Checkpoint) =>
  file.names().map((name) => `${name}\t${file.info(name).dtype}\t[${file.info(name).shape.join(', ')}]`);

async function adapterOf(path: string): Promise<string[]> {
  const adapter = await readAdapter(await entriesOf(path));
  const labels = adapter.labels ? [`classes: ${adapter.labels.join(', ')}`] : [];
  const { peft, native } = adapter;
  if (native) return [`method: ${native.metadata.get('method')}`, ...labels, ...listed(native)];
  const { config, checkpoint } = peft!;
  const base = `base: ${config.base_model_name_or_path ?? 'not named'}`;
  if (config.peft_type !== 'LORA' || config.use_dora)
    return [base, `type: ${config.peft_type}`, ...labels, ...listed(checkpoint)];
  const { updates, saved } = await fromPeft(config, checkpoint);
  return [
    base,
    ...labels,
    'module\trank\tscale\tsingular values',
    ...updates.map(
      (u) =>
        `${u.path}\t${u.a.shape[0]}\t${u.scale}\t${lowRankSpectrum(u.a, u.b, u.scale)
          .map((v) => v.toPrecision(4))
          .join(' ')}`,
    ),
    ...[...saved].map(([name, t]) => `${name}\tsaved whole\t[${t.shape.join(', ')}]`),
  ];
}
