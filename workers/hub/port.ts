/**
 * The one thing a loader needs of the network. In the page it is a worker of its own, whose content policy lets it
 * reach a hub; under Node it is `fetch` itself.
 */
export type HubFetch = (
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
) => Promise<HubAnswer>;

/** An answer whose body is read piece by piece. */
export interface HubAnswer {
  readonly status: number;
  header(name: string): string | null;
  /** The next bytes of the body; null at its end. Throws where the connection breaks. */
  read(): Promise<Uint8Array | null>;
  /** Lets go of what was not read. */
  close(): Promise<void>;
}

/** `fetch` as that port. */
export function hubFetch(fetcher: typeof fetch = fetch): HubFetch {
  return async (url, headers, signal) => {
    const answer = await fetcher(url, {
      headers,
      signal,
      // Neither cookies nor the browser's cache: weights are kept once, in the studio's own storage.
      credentials: 'omit',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
    });
    const reader = answer.body?.getReader();
    return {
      status: answer.status,
      header: (name) => answer.headers.get(name),
      read: async () => (await reader?.read())?.value ?? null,
      close: async () => {
        // A broken connection has nothing left to let go of.
        await reader?.cancel().catch(() => undefined);
      },
    };
  };
}
