/** What the page asks a hub for. */
export interface HubRequest {
  /** `owner/name`, `owner/name@revision`, or the address of its page. */
  model: string;
  /** Address of the hub or a mirror of it; empty for the usual one. */
  hub: string;
  /** For gated models; used for this request and kept nowhere. Empty for none. */
  token: string;
}

/** A backbone that this browser keeps, or the part of one whose download has not ended. */
export interface StoredBackbone {
  id: string;
  title: string;
  /** Where it came from, for a person. */
  source: string;
  bytes: number;
  /** Bytes still to come; 0 where it is whole. */
  missingBytes: number;
  /** Runs here that need it. */
  runs: number;
  /** What goes on with a download that has not ended. */
  request: Pick<HubRequest, 'model' | 'hub'> | null;
}
