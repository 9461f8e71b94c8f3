import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HuggingFaceFolder, type JsonObject, openFolder } from '../../models/checkpoints/folder.ts';
import {
  bytesSource,
  readSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../models/checkpoints/safetensors.ts';
import { contactSheet, picturesOf } from '../../models/data/contactSheet.ts';
import { encodePng } from '../../models/data/encodePng.ts';
import { readDiffusersLora } from '../../models/denoisers/lora.ts';
import { Autoencoder, type DenoiserModel, openDenoiser } from '../../models/denoisers/model.ts';
import { readSchedule } from '../../models/samplers/schedule.ts';
import { DecoderProgram, DenoiserProgram, type Told } from '../../workers/session/denoise.ts';
import { type SampleRequest, type SampleStep, sample } from '../../workers/session/sample.ts';
import { UsageError } from './args.ts';
import { openGpu } from './gpu.ts';
import { parseSample, type SampleArguments, sampleHelp } from './sampleArgs.ts';

const weightsFolder = fileURLToPath(new URL('../../models/weights/', import.meta.url));
/** Samples drawn at a time. */
const BATCH = 16;
const COLUMNS = 8;

/** `graft sample`: pictures of a diffusion model, a contact sheet, and the figures of each step. */
export async function sampleCommand(argv: readonly string[]): Promise<void> {
  const args = parseSample(argv);
  if (!args) return void process.stdout.write(`${sampleHelp}\n`);
  const pipeline = await openPipeline(args.backbone);
  const base = openDenoiser(pipeline.denoiser);
  const model = args.adapter ? await adapted(base, args.adapter) : base;
  const labels = labelsOf(args, model, pipeline.names);
  await mkdir(args.out, { recursive: true });
  const gpu = await openGpu();
  const batch = Math.min(args.count, BATCH);
  const sides = args.size ? { height: args.size, width: args.size } : {};
  const program = await DenoiserProgram.open(gpu, model, { batch, ...sides });
  const weak = args.weak
    ? await DenoiserProgram.open(gpu, openDenoiser((await openPipeline(args.weak)).denoiser), {
        batch,
        ...sides,
      })
    : undefined;
  const decoder = pipeline.vae
    ? await DecoderProgram.open(gpu, new Autoencoder(pipeline.vae), batch, program.shape)
    : undefined;
  const drawing: Drawing = { args, pipeline, program, weak, decoder, labels };
  await draw(drawing);
  for (const one of [program, weak, decoder]) one?.destroy();
  gpu.destroy();
}

interface Pipeline {
  denoiser: HuggingFaceFolder;
  vae?: HuggingFaceFolder;
  scheduler: JsonObject;
  /** Names of the classes, by number. */
  names: string[];
}

interface Drawing {
  args: SampleArguments;
  pipeline: Pipeline;
  program: DenoiserProgram;
  weak?: DenoiserProgram;
  decoder?: DecoderProgram;
  labels: number[];
}

/** A diffusers pipeline's folder, a denoiser's own, or the name of an embedded one. */
async function openPipeline(name: string): Promise<Pipeline> {
  const embedded = join(weightsFolder, name);
  const root = existsSync(join(embedded, 'config.json')) ? embedded : name;
  const part = ['transformer', 'unet', '.'].find((p) => existsSync(join(root, p, 'config.json')));
  if (!part)
    throw new UsageError(`'${name}' is neither an embedded denoiser nor a folder in diffusers' layout.`);
  const denoiser = await filesIn(join(root, part));
  const scheduler = ['scheduler', '.', part]
    .map((p) => join(root, p, 'scheduler_config.json'))
    .find(existsSync);
  if (!scheduler)
    throw new UsageError(
      `'${name}' has no scheduler_config.json, so the noise it was trained on is not known.`,
    );
  const index = join(root, 'model_index.json');
  const pipeline = existsSync(index) ? (JSON.parse(await readFile(index, 'utf8')) as JsonObject) : {};
  const names = (denoiser.config.id2label ?? pipeline.id2label ?? {}) as Record<string, string>;
  return {
    denoiser,
    vae: existsSync(join(root, 'vae', 'config.json')) ? await filesIn(join(root, 'vae')) : undefined,
    scheduler: JSON.parse(await readFile(scheduler, 'utf8')) as JsonObject,
    names: Object.entries(names).map(([, label]) => label),
  };
}

async function filesIn(folder: string): Promise<HuggingFaceFolder> {
  const names = (await readdir(folder)).filter((f) => /^config\.json$|\.(safetensors|bin)$/.test(f));
  // Of several kinds of weights safetensors' are taken.
  const kept = names.some((f) => f.endsWith('.safetensors'))
    ? names.filter((f) => !f.endsWith('.bin'))
    : names;
  return openFolder(
    new Map(kept.map((f) => [f, bytesSource(new Uint8Array(readFileSync(join(folder, f))))])),
  );
}

async function adapted(model: DenoiserModel, file: string): Promise<DenoiserModel> {
  if (!existsSync(file)) throw new UsageError(`There is no adapter '${file}'.`);
  const checkpoint = await readSafetensors(bytesSource(new Uint8Array(await readFile(file))), file);
  return model.adapted(await readDiffusersLora(checkpoint, model));
}

/** The class of each sample. */
function labelsOf(args: SampleArguments, { conditions }: DenoiserModel, names: readonly string[]): number[] {
  const { classes, nullClass } = conditions;
  const known = nullClass ?? classes;
  const each = (of: (i: number) => number) => Array.from({ length: args.count }, (_, i) => of(i));
  if (!classes) return each(() => 0);
  if (args.class === 'all') return each((i) => i % known);
  if (args.class === 'none' && nullClass !== null) return each(() => nullClass);
  const named = names.findIndex((n) => n.toLowerCase() === args.class.toLowerCase());
  const label = named >= 0 ? named : Number(args.class);
  if (Number.isInteger(label) && label >= 0 && label < known) return each(() => label);
  throw new UsageError(
    `--class takes a number below ${known}, all, none${names.length ? `, or one of ${names.join(', ')}` : ''}; not '${args.class}'.`,
  );
}

/** Draws all batches and writes what came of them. */
async function draw(drawing: Drawing): Promise<void> {
  const { args, pipeline, program, decoder, labels } = drawing;
  const schedule = readSchedule(pipeline.scheduler);
  const nullClass = program.model.conditions.nullClass;
  if (args.guidance.scale !== 1 && nullClass === null)
    throw new UsageError('This denoiser has no null class, so only --rule none and --weak can guide it.');
  const pictures = [];
  const steps: Record<string, unknown>[] = [];
  const dumped: TensorToWrite[] = [];
  const began = performance.now();
  for (let first = 0; first < args.count; first += program.batch) {
    const samples = Array.from({ length: program.batch }, (_, i) => first + i);
    // The last batch is filled up; what fills it is not written.
    const told: Told = { labels: Uint32Array.from(samples, (i) => labels[Math.min(i, args.count - 1)]) };
    const nothing: Told = { labels: new Uint32Array(program.batch).fill(nullClass ?? 0) };
    const { guidance, sampler, seed, noise: eta } = args;
    const request: SampleRequest = {
      schedule,
      sampler,
      steps: args.steps,
      guidance,
      seed,
      samples,
      told,
      nothing,
      eta,
      weak: drawing.weak,
    };
    let last: SampleStep | undefined;
    for await (const made of sample(program, request)) {
      last = made;
      const { done, evaluations, statistics } = made;
      steps.push({
        first,
        done,
        evaluations,
        milliseconds: Math.round(performance.now() - began),
        ...statistics,
      });
      if (args.dump) dumped.push(latentsOf(made, first, program));
      process.stderr.write(
        `\rsamples ${first + 1} to ${Math.min(first + program.batch, args.count)}: step ${done}/${made.steps}`,
      );
    }
    const values = decoder ? await decoder.decode(last!.latents) : last!.latents;
    pictures.push(...picturesOf(values, decoder?.shape ?? program.shape));
  }
  process.stderr.write('\n');
  const kept = pictures.slice(0, args.count);
  for (const [i, picture] of kept.entries())
    await writeFile(join(args.out, `${`${i}`.padStart(3, '0')}.png`), encodePng(picture));
  const zoom = Math.max(1, Math.floor(96 / kept[0].width));
  const sheet = contactSheet(kept, { columns: Math.min(COLUMNS, kept.length), zoom });
  await writeFile(join(args.out, 'sheet.png'), encodePng(sheet));
  if (args.dump) await writeFile(join(args.out, 'steps.safetensors'), writeSafetensors(dumped));
  const settings = { ...args, labels, classes: pipeline.names };
  await writeFile(join(args.out, 'run.json'), `${JSON.stringify({ settings, steps }, null, 2)}\n`);
  process.stderr.write(
    `Wrote ${kept.length} pictures and sheet.png to ${args.out} in ${((performance.now() - began) / 1000).toFixed(1)} s.\n`,
  );
}

const latentsOf = (
  { done, latents }: SampleStep,
  first: number,
  { batch, shape }: DenoiserProgram,
): TensorToWrite => ({
  name: `samples_${first}.step_${`${done}`.padStart(3, '0')}`,
  shape: [batch, ...shape],
  data: latents,
});
