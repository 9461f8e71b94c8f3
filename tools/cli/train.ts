import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { defaultSplit } from '../../models/data/split.ts';
import { methodById } from '../../models/methods/index.ts';
import type { StepPoint } from '../../workers/protocol.ts';
import { adapterZip } from '../../workers/session/adapter.ts';
import { checkRepeatable, elsewhereZip } from '../../workers/session/elsewhere.ts';
import { readAdapter } from '../../workers/session/readAdapter.ts';
import { reportOf } from '../../workers/session/report.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { NodeFiles } from '../../workers/storage/files.node.ts';
import { openOnnx } from '../onnx/node.ts';
import { type Arguments, givenSettings, number, required, UsageError } from './args.ts';
import { openBackbone } from './backbone.ts';
import { openDataset } from './dataset.ts';
import { elsewhereScripts } from './elsewhere.ts';
import { openGpu } from './gpu.ts';
import { taskNamed } from './language.ts';
import { entriesOf } from './samples.ts';
import { FileTexts } from './texts.ts';

/** `graft train`: the session of the page, from files to an adapter zip. */
export async function trainCommand(args: Arguments): Promise<void> {
  const out = args.elsewhere ?? required(args, 'out');
  const data = required(args, 'data');
  const backbone = await openBackbone(args.backbone, args);
  const task = taskNamed(args.task);
  const split = {
    ...defaultSplit,
    val: number(args, 'val') ?? 0,
    test: number(args, 'test') ?? 0,
    seed: number(args, 'seed') ?? 1,
  };
  const init = args.init ? await readAdapter(await entriesOf(args.init), backbone.model) : undefined;
  const method = args.method ? methodById(args.method) : (init?.method ?? methodById('lora'));
  if (init && init.method !== method)
    throw new UsageError(
      `${args.init} is an adapter of ${init.method.card.title}, so it cannot start a run of ${method.card.title}. Leave --method out, or start without --init.`,
    );
  const given = { ...init?.settings, ...givenSettings(args, method) };
  const { model } = backbone;
  const size = model.sizeIn(completeSettings(method, given, defaultSettings(method, model, 0)));
  const dataset = await openDataset(args, backbone, task, size, split);
  const count = dataset.samples.filter((s) => s.split === 'train').length;
  const defaults = defaultSettings(method, model, count);
  if (dataset instanceof FileTexts) defaults.max_length = await dataset.length();
  const settings = completeSettings(method, given, defaults);
  const steps = number(args, 'steps');
  if (steps !== undefined) settings.epochs = (steps * (settings.batch_size as number)) / count;
  if (args.elsewhere) checkRepeatable(method, settings);

  const gpu = await openGpu();
  const session = await Session.open({
    gpu,
    files: new NodeFiles(args.cache ?? '.cache/graft'),
    backboneHash: backbone.hash,
    model: backbone.model,
    method,
    settings,
    dataset,
    task,
    folder: `runs/cli-${process.pid}`,
    start: init?.tensors,
    onnx: openOnnx(),
    report: progressLine(),
  });
  if (args.elsewhere) {
    const zip = await elsewhereZip({
      session,
      backbone: {
        id: backbone.folder,
        title: backbone.title,
        config: backbone.files.config,
        preprocessor: backbone.files.preprocessor ?? {},
        files: args['with-base'] ? await backbone.baseFiles() : undefined,
      },
      scripts: await elsewhereScripts(),
    });
    await writeFile(out, zip);
    session.destroy();
    gpu.destroy();
    say(`Wrote ${out}: unpack it where the run is to be repeated, and read its README.md.`);
    return;
  }
  say(
    `Training ${method.card.title} on ${gpu.info.description}: ${session.steps} steps of ${settings.batch_size}; frozen features by ${session.prefix.choice.by}.`,
  );
  const log = args.log ? createWriteStream(args.log) : null;
  const points: StepPoint[] = [];
  const startedAt = Date.now();
  const { progress } = await session.run(
    { wish: 'run', turns: [], now: () => performance.now() },
    {
      step(p, done, total) {
        points.push(p);
        log?.write(
          `${JSON.stringify({ step: p.step, loss: p.loss, lr: p.lr, grad_norm: p.gradNorm, ms: p.ms })}\n`,
        );
        if (done % 10 === 0 || done === total)
          say(
            `step ${done}/${total}  loss ${p.loss.toFixed(4)}  accuracy ${(p.accuracy * 100).toFixed(0)} %  ${p.ms.toFixed(0)} ms`,
          );
      },
      evaluated: ([e], best) =>
        say(
          `validation after ${e.step}: loss ${e.loss.toFixed(4)}  accuracy ${(e.accuracy * 100).toFixed(1)} %  (best ${((best?.accuracy ?? 0) * 100).toFixed(1)} % at ${best?.step})`,
        ),
      notice: say,
    },
  );
  await new Promise((done) => (log ? log.end(done) : done(null)));
  await session.takeBest();
  const report = await reportOf(session, progress.knobs);
  if (report) {
    const percent = (s: { accuracy: number; low: number; high: number }) =>
      `${(s.accuracy * 100).toFixed(1)} % (${(s.low * 100).toFixed(1)}–${(s.high * 100).toFixed(1)})`;
    const { split, score, baseScore, losses } = report;
    if (baseScore) say(`${split}: ${percent(score)}; a tuned linear probe: ${percent(baseScore)}`);
    if (losses)
      say(
        `${split}: ${percent(score)} of the tokens; loss ${losses.loss.toFixed(4)}, perplexity ${Math.exp(losses.loss).toFixed(2)}; before: ${losses.start.toFixed(4)}, ${Math.exp(losses.start).toFixed(2)}`,
      );
  }
  const zip = await adapterZip({
    session,
    backbone: {
      id: backbone.folder,
      title: backbone.title,
      config: backbone.files.config,
      preprocessor: backbone.files.preprocessor ?? null,
      tokenizer: model.backbone.modality === 'text' ? await backbone.tokenizerFiles() : undefined,
      licence: backbone.licence,
      about: backbone.about,
      files: args['with-base'] ? await backbone.baseFiles() : undefined,
    },
    run: {
      name: basename(out).replace(/\.zip$/, ''),
      dataset: basename(data),
      split: `by folders where they say, else ${split.val * 100} % validation and ${split.test * 100} % test of each class, seed ${split.seed}`,
      seconds: (Date.now() - startedAt) / 1000,
      progress,
      report,
    },
  });
  await writeFile(out, zip);
  await session.checkpoints.remove();
  session.destroy();
  gpu.destroy();
  say(`Wrote ${out}, ${(zip.byteLength / 1024).toFixed(0)} kB.`);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Tells of a phase when it begins and at each further tenth. */
function progressLine() {
  let last = '';
  return (phase: string, { done, total }: { done: number; total: number }) => {
    const line = `${phase}: ${Math.floor((10 * done) / Math.max(1, total)) * 10} %`;
    if (line !== last) say(line);
    last = line;
  };
}
