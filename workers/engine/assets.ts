import type { Scripts } from '../session/elsewhere.ts';
import { BackboneError } from './backbones.ts';

/** Addresses of the embedded backbones' files, by their path in the repository. */
const weights = import.meta.glob<string>('../../models/weights/*/*', {
  query: '?url',
  import: 'default',
  eager: true,
});

/** Where a file of an embedded backbone is on the page's own origin. */
export function assetUrl(folder: string, file: string): string {
  const url = weights[`../../models/weights/${folder}/${file}`];
  if (!url) throw new BackboneError(`${folder}/${file} is not part of this build.`, 'Build the page again.');
  return new URL(url, self.location.href).href;
}

const scripts = import.meta.glob<string>('../../models/exports/elsewhere/*', {
  query: '?url',
  import: 'default',
  eager: true,
});

/** The scripts of a run elsewhere. */
export async function elsewhereScripts(): Promise<Scripts> {
  const texts = await Promise.all(
    Object.entries(scripts).map(async ([path, url]) => {
      const answer = await fetch(new URL(url, self.location.href));
      if (!answer.ok) throw new Error(`${url} could not be fetched (${answer.status}).`);
      return [path.slice(path.lastIndexOf('/') + 1), await answer.text()] as const;
    }),
  );
  return Object.fromEntries(texts) as Scripts;
}

/** A file of `public/samples`. Workers lie one folder below the page's root, in a build and under the dev server. */
export async function sampleFile(name: string): Promise<Uint8Array> {
  const answer = await fetch(new URL(`../samples/${name}`, self.location.href));
  if (!answer.ok) throw new Error(`${name} could not be fetched (${answer.status}).`);
  return new Uint8Array(await answer.arrayBuffer());
}
