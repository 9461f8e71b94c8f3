/** A file that cannot be used, by its name; the message says what was found and what to do. */
export class DataError extends Error {
  override name = 'DataError';
  readonly path: string;
  /** The message without the file's name, for lists that show the name beside it. */
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

/** A picture that cannot be decoded. */
export class DecodeError extends DataError {
  override name = 'DecodeError';
}

/** A zip that is refused as a whole. */
export class ZipError extends DataError {
  override name = 'ZipError';
}
