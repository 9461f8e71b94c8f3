import { readFileSync, writeFileSync } from 'node:fs';
import { withVulkan } from '../cli/gpu.ts';
import { runTogether } from './browser.ts';
import { type Command, CommandError, commandOf, help } from './command.ts';
import { type ContestResult, contestResult, contestSpec, entriesOf, workloadOf } from './contest.ts';
import { epochsTable, measureEpochs } from './epochs.ts';
import { bundleGpu } from './gpu/bundle.ts';
import type { GpuResult } from './gpu/result.ts';
import { growthTable, measureGrowth } from './growth.ts';
import { liteForwardTable, liteStepTable, measureLite } from './lite.ts';
import { type ModelName, ShapeError } from './model.ts';
import { renderDocs } from './page.ts';
import { installPeers, peersMissing } from './peers.ts';
import { measurePhotos, photosLine, photosTable } from './photos.ts';
import { contestText, textTable } from './report.ts';
import { type Benchmarks, readBenchmarks, taken, writeBenchmarks } from './store.ts';

/** Largest relative difference between engines' losses that still is agreement. */
const AGREE = 1e-3;

const argv = process.argv.slice(2);

async function main(): Promise<number> {
  const command = commandOf(argv);
  if (command.photos !== undefined) withVulkan();
  if (command.bundleGpu) {
    await bundleGpu();
    return 0;
  }
  if (command.takeGpu !== undefined) {
    const result = JSON.parse(readFileSync(command.takeGpu, 'utf8')) as GpuResult;
    writeBenchmarks({ ...readBenchmarks(), gpu: taken(result, argv) });
  }
  if (command.render || command.takeGpu !== undefined) {
    renderDocs(readBenchmarks());
    return 0;
  }
  const found: Benchmarks = { contests: {}, epochs: {} };
  let fine = true;
  for (const name of command.models) {
    if (name === 'lite') {
      found.lite = taken(await measureLite(command), argv);
      console.log(`\nEfficientNet-Lite0 at ${found.lite.result.side} px, batch ${found.lite.result.batch}`);
      console.log(textTable(liteForwardTable(found.lite.result)));
      console.log(`\n${textTable(liteStepTable(found.lite.result))}`);
    } else {
      const result = await contest(name, command);
      found.contests[result.workload] = taken(result, argv);
      console.log(contestText(result));
      fine &&= result.apart <= AGREE;
    }
  }
  if (command.epochs)
    for (const name of ['vit', 'bert'] as const) {
      const result = await measureEpochs(name, command);
      found.epochs[name] = taken(result, argv);
      console.log(`\n${textTable(epochsTable([result]))}`);
      fine &&= result.apart <= AGREE;
    }
  if (command.growth) {
    found.growth = taken(await measureGrowth(), argv);
    console.log(`\n${textTable(growthTable(found.growth.result))}`);
  }
  if (command.photos !== undefined) {
    found.photos = taken(await measurePhotos(command.photos), argv);
    console.log(`\n${photosLine(found.photos.result)}\n${textTable(photosTable(found.photos.result))}`);
  }
  if (command.json) writeFileSync(command.json, `${JSON.stringify(flat(found), null, 1)}\n`);
  if (command.write) {
    const before = readBenchmarks();
    const all = {
      ...before,
      ...found,
      contests: { ...before.contests, ...found.contests },
      epochs: { ...before.epochs, ...found.epochs },
    };
    writeBenchmarks(all);
    renderDocs(all);
  }
  return fine ? 0 : 1;
}

async function contest(name: ModelName, asked: Command): Promise<ContestResult> {
  const missing = asked.peers.length ? peersMissing() : null;
  if (missing) console.log(missing);
  const command = missing ? { ...asked, peers: [] } : asked;
  if (command.peers.length) installPeers();
  const spec = contestSpec(name, command);
  const entries = entriesOf(spec, command);
  return contestResult(workloadOf(name, command), spec, entries, await runTogether(entries));
}

/** `--json`: every run of every contest in one list; the floor is that contest's in which we reach the least of it. */
function flat(found: Benchmarks): object {
  const contests = Object.values(found.contests).map((c) => c.result);
  const [floor] = contests.map((c) => c.floor).sort((a, b) => a.share - b.share);
  const { date, cpu, cores } = taken(null, argv);
  return {
    date,
    cpu,
    cores,
    runs: contests.flatMap((c) => c.runs),
    floor: floor ? { gflops: floor.gflops, share: floor.share } : null,
    ...found,
  };
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    const wrong = error instanceof CommandError || error instanceof ShapeError;
    if (error.message) console.error(`bench: ${error.message}`);
    if (error instanceof CommandError) console.error(help);
    process.exit(wrong ? (error.message ? 2 : 0) : 1);
  },
);
