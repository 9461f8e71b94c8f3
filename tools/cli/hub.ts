import { join } from 'node:path';
import { backboneFor } from '../../models/backbones/index.ts';
import { openFolder } from '../../models/checkpoints/folder.ts';
import { openModel } from '../../models/open.ts';
import { parseModel } from '../../workers/hub/address.ts';
import { download, folderKey } from '../../workers/hub/download.ts';
import { hubFetch } from '../../workers/hub/port.ts';
import { NodeFiles } from '../../workers/storage/files.node.ts';

export interface HubArguments {
  /** Address of the hub; `HF_ENDPOINT` where it is absent. */
  readonly hub?: string | undefined;
  /** Folder in which models are kept. */
  readonly cache?: string | undefined;
}

/** Whether a backbone's name is one on a hub: an address, `owner/name`, or anything with a revision. */
export function isHubName(name: string, { hub }: HubArguments): boolean {
  return (
    /^https?:\/\//.test(name) ||
    hub !== undefined ||
    /^[\w.-]+(\/[\w.-]+)?@[\w./-]+$|^[\w-][\w.-]*\/[\w.-]+$/.test(name)
  );
}

/**
 * Brings a model from a hub into the cache folder, going on from where an earlier try stopped, and gives its folder.
 * A token for gated models is read from `HF_TOKEN`. Throws what `download` throws.
 */
export async function fromHub(name: string, { hub, cache = '.cache/graft' }: HubArguments): Promise<string> {
  const model = parseModel(name, hub ?? process.env.HF_ENDPOINT);
  const say = process.stderr.isTTY ? (text: string) => process.stderr.write(`\r\x1b[K${text}`) : () => true;
  let told = 0;
  const { folder } = await download(model, {
    fetch: hubFetch(),
    files: new NodeFiles(cache),
    signal: new AbortController().signal,
    token: process.env.HF_TOKEN || undefined,
    folder: (id, commit) => `hub/${folderKey(id, commit)}/`,
    accept: (config) => void backboneFor(config).configure(config),
    inspect: async (tree) => void openModel(await openFolder(tree)),
    // A disk that fills up says so itself; how much is left is not known beforehand.
    room: async () => undefined,
    waiting: (why, milliseconds) =>
      process.stderr.write(`graft: ${why}; trying again in ${Math.ceil(milliseconds / 1000)} s\n`),
    report: (phase, done, total) => {
      if (Date.now() - told < 200 && done < total) return;
      told = Date.now();
      say(`${phase}${total > 0 ? `: ${megabytes(done)} of ${megabytes(total)} MB` : ''}`);
    },
  });
  say('');
  return join(cache, folder);
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
