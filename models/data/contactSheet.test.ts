import { expect, test } from 'vitest';
import { contactSheet, picturesOf } from './contactSheet.ts';

test('values in -1…1 become bytes, what lies beyond is cut', () => {
  const [one, two] = picturesOf(Float32Array.of(-1, 1, 0, 3, -7, 1, 1, 1, 1, -1, -1, -1), [3, 1, 2]);
  expect([...one.data]).toEqual([0, 128, 0, 255, 255, 255]);
  expect([...two.data]).toEqual([255, 255, 0, 255, 0, 0]);
});

test('one channel is grey, and of four the first three are shown', () => {
  expect([...picturesOf(Float32Array.of(0.5), [1, 1, 1])[0].data]).toEqual([191, 191, 191]);
  expect([...picturesOf(Float32Array.of(1, -1, 1, 0), [4, 1, 1])[0].data]).toEqual([255, 0, 255]);
});

test('a sheet has rows of pictures on white, zoomed', () => {
  const black = { width: 1, height: 1, data: new Uint8Array(3) };
  const sheet = contactSheet([black, black, black], { columns: 2, zoom: 2, gap: 1 });
  expect([sheet.width, sheet.height]).toEqual([5, 5]);
  const dark = (x: number, y: number) => sheet.data[3 * (y * 5 + x)] === 0;
  expect([dark(0, 0), dark(1, 1), dark(2, 0), dark(3, 0), dark(0, 2), dark(0, 3), dark(3, 3)]).toEqual([
    true,
    true,
    false,
    true,
    false,
    true,
    false,
  ]);
});
