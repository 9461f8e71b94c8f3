import Papa from 'papaparse';

/** One picture's prediction. */
export interface PredictionRow {
  readonly file: string;
  /** Predicted class. */
  readonly label: string;
  /** One logit a class, in the order of the classes. */
  readonly logits: ArrayLike<number>;
}

/** Spreadsheets take text that begins so for a formula; an apostrophe before it keeps it text. */
export function escapeFormula(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

/**
 * Predictions as CSV: file, label, then one logit a class at full precision under the class's name. Text cells that a
 * spreadsheet would run as formulas are escaped; numbers are not.
 */
export function predictionsCsv(classes: readonly string[], rows: readonly PredictionRow[]): string {
  const header = ['file', 'label', ...classes.map(escapeFormula)];
  const cells = rows.map(({ file, label, logits }) => [
    escapeFormula(file),
    escapeFormula(label),
    ...Array.from(logits, String),
  ]);
  return `${Papa.unparse([header, ...cells], { newline: '\n' })}\n`;
}

/** One vector a sample as CSV: the file, then a number a column at full precision. */
export function embeddingsCsv(rows: readonly { file: string; values: ArrayLike<number> }[]): string {
  const width = rows[0]?.values.length ?? 0;
  const header = ['file', ...Array.from({ length: width }, (_, i) => `f${i}`)];
  const cells = rows.map(({ file, values }) => [escapeFormula(file), ...Array.from(values, String)]);
  return `${Papa.unparse([header, ...cells], { newline: '\n' })}\n`;
}
