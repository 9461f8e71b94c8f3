/** What the hub worker does: the contract between `hub.worker.ts` and `workerFetch.ts`. */
export interface HubWorker {
  /** Asks for an address; `id`, chosen by the caller, names the answer from then on. */
  open(
    id: number,
    url: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ status: number; headers: [string, string | null][] }>;
  /** The next bytes of an answer; null at its end. */
  read(id: number): Promise<Uint8Array | null>;
  /** Ends a request, answered or not. */
  close(id: number): Promise<void>;
}
