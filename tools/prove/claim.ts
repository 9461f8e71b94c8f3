/** What the command line asks of a proof. */
export interface ProofOptions {
  /** Seeds 1 to this. */
  seeds: number;
  steps: number;
  /** Another folder of pictures, with train/ and test/. */
  data?: string;
}

/** What a proof found. */
export interface Outcome {
  /** Data, backbone, steps and settings, in a line. */
  what: string;
  /** Means over the seeds of what the property compares, e.g. accuracies. */
  ours: number;
  baseline: number;
  /** How far `ours` is on the right side of what the property asks; it holds at 0 and above. */
  margin: number;
  seeds: number;
  holds: boolean;
  /** A table in Markdown, a row a seed. */
  table: string[];
}

/** One published property of a method, and the run that shows it. Add one: a file in `claims/`, a line in `claims/index.ts`. */
export interface Claim {
  /** The method's id, or the name that a setting of it goes by in print. */
  method: string;
  title: string;
  /** What must hold, in a sentence or two, with the baseline named. */
  property: string;
  /** Steps of a run where the command line says nothing. */
  steps: number;
  /** Null, after a printed line that says why, where its data is absent. */
  prove(options: ProofOptions): Promise<Outcome | null>;
}
