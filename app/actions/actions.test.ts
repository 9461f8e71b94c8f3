import { describe, expect, it } from 'vitest';
import { actions } from './index.ts';
import { actionFor, answers, applies, nameOf, presses, printed } from './keys.ts';
import type { Situation } from './types.ts';

const press = (
  key: string,
  rest: Partial<{ ctrlKey: boolean; shiftKey: boolean; altKey: boolean; metaKey: boolean }> = {},
) => ({
  key,
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  altKey: false,
  ...rest,
});

const idle: Situation = {
  machine: null,
  ready: true,
  place: 'data',
  dataset: null,
  run: null,
  trainable: false,
  sample: null,
};
const running = { ...idle, run: { id: 'r', name: 'a run', state: 'running' } } as unknown as Situation;

describe('commands', () => {
  it('have unique names to be called by and unique keys', () => {
    expect(new Set(actions.map((a) => a.id)).size).toBe(actions.length);
    const keys = actions.flatMap((a) => (a.key ? [printed(a.key, false)] : []));
    expect(new Set(keys).size).toBe(keys.length);
    expect(actions.length).toBeGreaterThan(18);
  });

  it('apply only where they can act', () => {
    const applying = (now: Situation) => actions.filter((a) => applies(a, now)).map((a) => a.id);
    expect(applying(idle)).not.toContain('train');
    expect(applying(idle)).not.toContain('pause-resume');
    expect(applying(idle)).toContain('open-files');
    expect(applying({ ...idle, trainable: true })).toContain('train');
    expect(applying(running)).toEqual(expect.arrayContaining(['pause-resume', 'stop', 'remove-run']));
    expect(applying(running)).not.toContain('download');
  });

  it('are named for what they would do', () => {
    const toggle = actions.find((a) => a.id === 'pause-resume')!;
    expect(nameOf(toggle, running)).toBe('Pause');
    expect(nameOf(toggle, { ...running, run: { ...running.run!, state: 'paused' } })).toBe('Resume');
  });
});

describe('keys', () => {
  it('leave letters to fields and Space to buttons', () => {
    expect(actionFor(actions, press(' '), 'page', running)?.id).toBe('pause-resume');
    expect(actionFor(actions, press(' '), 'control', running)).toBeUndefined();
    expect(actionFor(actions, press('/'), 'text', running)).toBeUndefined();
    expect(actionFor(actions, press('k', { ctrlKey: true }), 'text', running)?.id).toBe('palette');
    expect(actionFor(actions, press('z', { ctrlKey: true }), 'text', running)).toBeUndefined();
  });

  it('tell Ctrl from nothing, and take ? with Shift', () => {
    expect(presses({ key: 'k', mod: true }, press('k'), 'page')).toBe(false);
    expect(presses({ key: 'k', mod: true }, press('k', { metaKey: true }), 'page')).toBe(true);
    expect(presses({ key: '?' }, press('?', { shiftKey: true }), 'page')).toBe(true);
    expect(
      presses({ key: 'z', mod: true, shift: false }, press('z', { ctrlKey: true, shiftKey: true }), 'page'),
    ).toBe(false);
  });
});

it('ranks a name before a keyword before a part', () => {
  expect(answers('Download the adapter', 'down')).toBe(1);
  expect(answers('Download the adapter', 'adap')).toBe(0.8);
  expect(answers('Download the adapter', 'zip', ['zip'])).toBe(0.6);
  expect(answers('Download the adapter', 'nload')).toBe(0.3);
  expect(answers('Download the adapter', 'webcam')).toBe(0);
});
