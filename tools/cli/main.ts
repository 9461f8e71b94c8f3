#!/usr/bin/env -S npx tsx
import { help, parse, UsageError } from './args.ts';
import { withVulkan } from './gpu.ts';

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === 'sample') {
    withVulkan();
    return (await import('./sample.ts')).sampleCommand(argv.slice(1));
  }
  const args = parse(argv);
  if (args.help || args.command === 'help') return void process.stdout.write(`${help}\n`);
  switch (args.command) {
    case 'train':
      withVulkan();
      return (await import('./train.ts')).trainCommand(args);
    case 'predict':
      withVulkan();
      return (await import('./predict.ts')).predictCommand(args);
    case 'generate':
      withVulkan();
      return (await import('./generate.ts')).generateCommand(args);
    case 'export':
      return (await import('./export.ts')).exportCommand(args);
    case 'merge':
      return (await import('./merge.ts')).mergeCommand(args);
    case 'inspect':
      return (await import('./inspect.ts')).inspectCommand(args);
    default:
      throw new UsageError(
        args.command
          ? `There is no command '${args.command}'. See 'graft --help'.`
          : "Give a command. See 'graft --help'.",
      );
  }
}

main(process.argv.slice(2)).then(
  // Dawn keeps threads of its own that would hold the process open.
  () => process.exit(0),
  (error: Error & { advice?: string }) => {
    process.stderr.write(`graft: ${error.message.split('\n')[0]}${error.advice ? ` ${error.advice}` : ''}\n`);
    if (process.env.GRAFT_DEBUG) process.stderr.write(`${error.stack}\n`);
    process.exit(error.name === 'UsageError' ? 2 : 1);
  },
);
