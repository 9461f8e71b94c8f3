import type { ByteSource } from '../../checkpoints/bytes.ts';
import { DataError } from '../errors.ts';
import { fromRecords, type TextTable } from './table.ts';

/**
 * Reads a Parquet file. Numbers of a column that Hugging Face's `datasets` wrote as a `ClassLabel` become their names.
 * The reader is loaded when the first such file comes. Throws `DataError`.
 */
export async function readParquet(source: ByteSource, path: string, mostRows: number): Promise<TextTable> {
  const [{ parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ]);
  const file = {
    byteLength: source.size,
    slice: async (begin: number, end = source.size) => new Uint8Array(await source.read(begin, end)).buffer,
  };
  try {
    const metadata = await parquetMetadataAsync(file);
    if (metadata.num_rows > mostRows)
      throw new DataError(path, `it has more than ${mostRows.toLocaleString('en')} rows; take fewer of them`);
    const written = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value;
    const names = labelNames(written);
    const records = await parquetReadObjects({ file, metadata, compressors });
    return fromRecords(
      path,
      records.map((record, i) => ({
        line: i + 1,
        record: Object.fromEntries(
          Object.entries(record).map(([key, value]) => [key, names.get(key)?.[Number(value)] ?? value]),
        ),
      })),
    );
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(path, `it is no Parquet file that can be read (${(error as Error).message})`);
  }
}

/** Class names by column, out of what `datasets` writes beside the schema. */
function labelNames(written: string | undefined): Map<string, string[]> {
  const found = new Map<string, string[]>();
  if (!written) return found;
  const { info } = JSON.parse(written) as {
    info?: { features?: Record<string, { _type?: string; names?: string[] }> };
  };
  for (const [column, feature] of Object.entries(info?.features ?? {}))
    if (feature?._type === 'ClassLabel' && feature.names) found.set(column, feature.names);
  return found;
}
