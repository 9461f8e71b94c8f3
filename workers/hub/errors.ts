/** A hub that said no, did not answer, or sent something else than was asked for. */
export class HubError extends Error {
  override name = 'HubError';
  readonly advice: string;
  /** HTTP status, where the hub answered with one. */
  readonly status: number | undefined;

  constructor(message: string, advice: string, status?: number) {
    super(message);
    this.advice = advice;
    this.status = status;
  }
}

/** What is known of a refusal. */
export interface Refusal {
  readonly status: number;
  /** What was asked for: the model itself, or one of its files. */
  readonly what: string;
  /** Model and revision, as a person writes them. */
  readonly model: string;
  readonly hub: string;
  /** `X-Error-Code`, by which hubs tell a missing model from a missing revision or file. */
  readonly code: string | null;
  readonly withToken: boolean;
}

/** A refusal that no further try would change, in words. */
export function refusalError({ status, what, model, hub, code, withToken }: Refusal): HubError {
  const said = `${hub} answered ${status} for ${what} of ${model}`;
  if (status === 401)
    return withToken
      ? new HubError(
          `${said}: it does not accept this token.`,
          'Make a token with read access there and enter it again.',
          401,
        )
      : new HubError(
          `${said}: the model is gated or private, or there is none of that name.`,
          'Check the name; if it is right, enter a token of an account that may read it.',
          401,
        );
  if (status === 403)
    return new HubError(
      `${said}: access to it was not granted${withToken ? ' to this token' : ''}.`,
      'Open the model’s page there, accept its terms, then try again with a token of that account.',
      403,
    );
  if (status === 404 || status === 410) {
    const missing =
      code === 'RevisionNotFound'
        ? 'it has no such revision'
        : code === 'EntryNotFound' || what !== 'the list'
          ? 'it has no such file'
          : 'there is no such model';
    return new HubError(
      `${said}: ${missing}.`,
      'Check the name, the revision and the hub’s address.',
      status,
    );
  }
  return new HubError(
    `${said}, which is no answer that can be used.`,
    'Check the hub’s address, or try again later.',
    status,
  );
}
