import { expect, test } from 'vitest';
import { MemoryFiles } from '../storage/memory.ts';
import { makeRoom } from './features.ts';

const bytes = (n: number) => new Uint8Array(n);

test('older features make room, whole runs at a time, and no more than needed', async () => {
  const files = new MemoryFiles();
  await files.write('features/a/cut0.0', bytes(400));
  await files.write('features/a/features.0', bytes(100));
  await files.write('features/b/cut0.0', bytes(400));
  await files.write('features/own/cut0.0', bytes(300));
  await makeRoom(files, 'own', 500, 1000);
  expect(await files.list('features/')).toEqual(['features/b/cut0.0', 'features/own/cut0.0']);
  await makeRoom(files, 'own', 500, 899);
  expect(await files.list('features/')).toEqual(['features/own/cut0.0']);
});
