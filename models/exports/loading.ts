/** How an adapter is loaded in Python. */
export interface LoadInfo {
  readonly library: 'transformers' | 'timm';
  /** The base in a person's words. */
  readonly baseTitle: string;
  /** transformers: the class, e.g. `ViTForImageClassification`; timm: the architecture. */
  readonly model: string;
  /** Id on the Hugging Face hub, where the base has one. */
  readonly hubId?: string;
  /** The base lies in the zip under `base/`, with `load.py`. */
  readonly withBase: boolean;
  readonly classes: number;
  /** Side of the pictures that the model was trained on, in pixels. */
  readonly imageSize: number;
  /** True where the model has learnt positions for another size and must be told to resample them (ViT). */
  readonly interpolatePositions: boolean;
  /** The family was renamed in transformers 5: a second file for transformers 4 lies in `transformers-4/`. */
  readonly renamed: boolean;
  /** False where PEFT has no form for the method, so that only the studio reads it. */
  readonly byPeft: boolean;
}

/** Where the base is loaded from, as a Python expression. */
function baseOf({ hubId, withBase, library }: LoadInfo, folder: string): string {
  if (withBase) return library === 'timm' ? `f"local-dir:{${folder}}/base"` : `f"{${folder}}/base"`;
  return JSON.stringify(hubId ?? 'PATH/TO/BASE');
}

function baseLines(info: LoadInfo): string[] {
  const base = baseOf(info, 'folder');
  return info.library === 'timm'
    ? [`base = timm.create_model(${base}, pretrained=True, num_classes=${info.classes})`]
    : [
        `base = ${info.model}.from_pretrained(${base}, num_labels=${info.classes}, ignore_mismatched_sizes=True).float()`,
      ];
}

function importLines(info: LoadInfo): string[] {
  return [
    'import json',
    ...(info.library === 'timm' ? ['import timm'] : []),
    'import torch',
    'from peft import PeftModel',
    'from PIL import Image, ImageOps',
    `from transformers import AutoImageProcessor${info.library === 'timm' ? '' : `, ${info.model}`}`,
  ];
}

function predictLines(info: LoadInfo, picture: string): string[] {
  const call =
    info.library === 'timm'
      ? 'model(pixels)'
      : `model(pixel_values=pixels${info.interpolatePositions ? ', interpolate_pos_encoding=True' : ''}).logits`;
  return [
    `image = ImageOps.exif_transpose(Image.open(${picture})).convert("RGB")`,
    'pixels = processor(image, return_tensors="pt")["pixel_values"]',
    'with torch.no_grad():',
    `    scores = ${call}.softmax(-1)[0].tolist()`,
    'for name, score in sorted(zip(labels, scores), key=lambda pair: -pair[1]):',
    '    print(f"{score:6.1%}  {name}")',
  ];
}

function processorLines(options: string): string[] {
  return [
    '# Training resized its pictures as Pillow does.',
    `processor = AutoImageProcessor.from_pretrained(folder, ${options})`,
    'labels = json.load(open(f"{folder}/labels.json"))',
  ];
}

/** The Python lines that load an adapter, in Markdown, for each library that can. */
export function loadingLines(info: LoadInfo): string {
  if (!info.byPeft)
    return 'PEFT has no type for this method. Drop this zip on the studio to use it there; `graft.safetensors` holds its tensors by the names that docs/file-format.md gives, and the studio writes the whole model as ONNX.';
  const lines = [
    '```python',
    ...importLines(info),
    '',
    'folder = "."  # where this zip was unpacked',
    ...baseLines(info),
    'model = PeftModel.from_pretrained(base, folder).eval()',
    ...processorLines('backend="pil"'),
    '',
    ...predictLines(info, '"picture.jpg"'),
    '```',
  ];
  const notes = [
    `Needs ${info.library === 'timm' ? 'timm, transformers 5 (for the preprocessing)' : 'transformers 5'} and peft. Pictures are brought to ${info.imageSize} × ${info.imageSize} pixels by preprocessor_config.json.`,
  ];
  if (info.renamed) {
    notes.push(
      'transformers 5 renamed the modules of this family. With transformers 4, load the other file: `PeftModel.from_pretrained(base, folder, subfolder="transformers-4")`, and leave `backend="pil"` out.',
    );
  }
  if (info.withBase) notes.push('`python load.py picture.jpg` does the same.');
  else if (info.hubId === undefined)
    notes.push(
      'The base is on no hub: download the adapter together with its base, or put the path of the folder that it was trained on.',
    );
  return `${lines.join('\n')}\n\n${notes.join('\n\n')}`;
}

/** `load.py`: loads base and adapter from the unpacked zip and classifies the pictures named on its command line. */
export function loaderScript(info: LoadInfo): string {
  const inside = { ...info, withBase: true };
  const lines = [
    '"""Classify pictures with the base and the adapter of this folder: python load.py picture.jpg ..."""',
    'import sys',
    'from pathlib import Path',
    ...importLines(inside),
    'from transformers import __version__ as version',
    '',
    'folder = Path(__file__).resolve().parent',
    'older = int(version.split(".")[0]) < 5',
    ...baseLines(inside),
    ...(info.renamed
      ? [
          'names = {"subfolder": "transformers-4"} if older else {}',
          'model = PeftModel.from_pretrained(base, folder, **names).eval()',
        ]
      : ['model = PeftModel.from_pretrained(base, folder).eval()']),
    ...processorLines('**({"use_fast": False} if older else {"backend": "pil"})'),
    '',
    'for picture in sys.argv[1:]:',
    '    print(picture)',
    ...predictLines(inside, 'picture').map((line) => `    ${line}`),
  ];
  return `${lines.join('\n')}\n`;
}
