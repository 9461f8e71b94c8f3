import { HubError } from './errors.ts';

/** The hub that is asked where no other is set. Any server with the same layout of addresses can take its place. */
export const defaultHub = 'https://huggingface.co';

/** A model on a hub. */
export interface HubModel {
  /** Address of the hub, without a slash at its end. */
  readonly hub: string;
  /** `owner/name`, or a bare name. */
  readonly id: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

const part = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$/;

/**
 * Reads what a person enters: `owner/name`, `owner/name@revision`, or the address of a model's page or of one of its
 * files. `hub` is the mirror that is set; without one an address's own host is asked. Throws `HubError`.
 */
export function parseModel(text: string, hub?: string): HubModel {
  const given = text.trim();
  const mirror = hub?.trim() ? hubAddress(hub) : undefined;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) return parseUrl(given, mirror);
  const [id, revision = 'main', ...more] = given.split('@');
  return checked({ hub: mirror ?? defaultHub, id, revision: more.length ? '' : revision }, given);
}

function parseUrl(text: string, mirror: string | undefined): HubModel {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw notAModel(text);
  }
  const parts = url.pathname.split('/').filter(Boolean).map(decode);
  const at = parts.findIndex((p, i) => i > 0 && i <= 2 && ['tree', 'resolve', 'blob'].includes(p));
  const id = (at < 0 ? parts : parts.slice(0, at)).join('/');
  const revision = at < 0 ? 'main' : (parts[at + 1] ?? '');
  return checked({ hub: mirror ?? hubAddress(url.origin), id, revision }, text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function checked(model: HubModel, text: string): HubModel {
  const parts = model.id.split('/');
  const named = parts.length <= 2 && parts.every((p) => part.test(p) && !p.includes('..'));
  const dated = /^[\w./-]{1,200}$/.test(model.revision) && !model.revision.includes('..');
  if (named && dated) return model;
  throw notAModel(text);
}

function notAModel(text: string): HubError {
  return new HubError(
    `“${text}” names no model on a hub.`,
    'Enter it as owner/name, owner/name@revision, or paste the address of its page.',
  );
}

/** A hub's address as it is used. A token goes there, so it must be https, or this machine. Throws `HubError`. */
export function hubAddress(text: string): string {
  const given = text.trim();
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `https://${given}`);
  } catch {
    throw new HubError(`“${given}” is no address of a hub.`, 'Enter it as https://host.');
  }
  const own = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && own))
    throw new HubError(
      `“${given}” is not encrypted, so what it sends could be changed on the way.`,
      'Enter an https address. Only a hub on this machine may be plain http.',
    );
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

const encoded = (path: string) => path.split('/').map(encodeURIComponent).join('/');

/** Where a hub tells a revision's commit and files, with sizes and hashes. */
export function listAddress({ hub, id, revision }: HubModel): string {
  return `${hub}/api/models/${encoded(id)}/revision/${encodeURIComponent(revision)}?blobs=true`;
}

/** Where a file of a model is. */
export function fileAddress({ hub, id, revision }: HubModel, file: string): string {
  return `${hub}/${encoded(id)}/resolve/${encodeURIComponent(revision)}/${encoded(file)}`;
}
