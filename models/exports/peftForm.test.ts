import { describe, expect, test } from 'vitest';
import { bytesSource, readSafetensors } from '../checkpoints/safetensors.ts';
import { formFiles, olderForm, readForm, todaysForm } from './peftForm.ts';

const tensor = (...data: number[]) => ({ shape: [data.length], data: Float32Array.from(data) });
const paths = ['layers.0.q', 'layers.0', 'layers.1.q', 'mlp.gate', 'head'];
const names = {
  diskName: (path: string) => path.replace('layers.', 'encoder.').replace('.gate', '.in'),
  diskPart: (path: string) => (path === 'mlp.gate' ? { part: 0, of: 2 } : undefined),
};
const content = {
  config: { peft_type: 'IA3', target_modules: ['layers.0.q', 'layers.1.q'] },
  tensors: new Map([
    ['layers.0.q.ia3_l', tensor(1, 2)],
    ['layers.1.q.ia3_l', tensor(3)],
    ['base_model.shared', tensor(5)],
  ]),
};

describe("PEFT's own types", () => {
  test('files carry its prefix and come back without it, the head apart', async () => {
    const files = formFiles(content, new Map([['head.weight', tensor(4)]]), { baseModel: 'b' });
    expect(files.config).toMatchObject({
      peft_type: 'IA3',
      base_model_name_or_path: 'b',
      modules_to_save: ['head'],
    });
    const file = await readSafetensors(bytesSource(files.weights), 'adapter');
    expect(file.names()).toContain('base_model.model.layers.0.q.ia3_l');
    expect(file.names()).toContain('base_model.shared');
    const back = await readForm(files.config, file, (name) => name.startsWith('head.'));
    expect(back.saved).toEqual(new Map([['head.weight', tensor(4)]]));
    expect(new Map(back.content.tensors)).toEqual(content.tensors);
  });

  test('are renamed for the older generation, tensors and configuration alike, and back', () => {
    const older = olderForm(content, paths, names)!;
    expect([...older.tensors.keys()]).toEqual([
      'encoder.0.q.ia3_l',
      'encoder.1.q.ia3_l',
      'base_model.shared',
    ]);
    expect(older.config.target_modules).toEqual(['encoder.0.q', 'encoder.1.q']);
    expect(todaysForm(older, paths, names)).toEqual(content);
    expect(todaysForm(content, paths, names)).toBe(content);
  });

  test('have no older form where one module held several', () => {
    const gated = { config: {}, tensors: new Map([['mlp.gate.ia3_l', tensor(1)]]) };
    expect(olderForm(gated, paths, names)).toBeNull();
  });

  test('are refused by the name that no module bears', () => {
    const strange = { config: {}, tensors: new Map([['other.q.ia3_l', tensor(1)]]) };
    expect(() => todaysForm(strange, paths, names)).toThrow(/other\.q\.ia3_l/);
  });
});
