/**
 * A checkpoint that cannot be used: `message` says what was found, what it means and what to do, in one or two
 * sentences for a person; `file` is the file's name as the user knows it.
 */
export class CheckpointError extends Error {
  override name = 'CheckpointError';
  readonly file: string;

  constructor(file: string, message: string) {
    super(`${file}: ${message}`);
    this.file = file;
  }
}
