import type { Modality } from '../describe.ts';
import type { Task } from '../tasks/task.ts';

/** How an adapter is loaded in Python. */
export interface LoadInfo {
  /** What its samples are. */
  readonly reads: Modality;
  /** What it was trained for. */
  readonly task: Task['id'];
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
  /** Side of the pictures in pixels, tokens of the texts, or seconds of the sounds that it was trained on. */
  readonly size: number;
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
        hasLabels(info)
          ? `base = ${info.model}.from_pretrained(${base}, num_labels=${info.classes}, ignore_mismatched_sizes=True).float()`
          : `base = ${info.model}.from_pretrained(${base}).float()`,
        ...(shortened[info.model]?.(info.size) ?? []),
      ];
}

/** Positions of the first moments alone, where sounds are shorter than those that the base was made for. */
const shortened: Record<string, (seconds: number) => string[]> = {
  WhisperForAudioClassification: (seconds) => [
    `base.config.max_source_positions = ${Math.round(seconds * 50)}`,
    'positions = base.encoder.embed_positions.weight.detach()[: base.config.max_source_positions]',
    'base.encoder.embed_positions = torch.nn.Embedding.from_pretrained(positions)',
  ],
  ASTForAudioClassification: (seconds) => [
    'embeddings = base.audio_spectrogram_transformer.embeddings',
    'rows, _ = embeddings.get_shape(base.config)',
    `base.config.max_length = ${Math.round(seconds * 100)}`,
    '_, columns = embeddings.get_shape(base.config)',
    'table = embeddings.position_embeddings.detach()',
    'grid = table[:, 2:].unflatten(1, (rows, -1))[:, :, :columns].flatten(1, 2)',
    'embeddings.position_embeddings = torch.nn.Parameter(torch.cat([table[:, :2], grid], 1))',
  ],
};

/** Whether the model answers with one of a list of classes. */
const hasLabels = ({ task }: LoadInfo) => task === 'classification' || task === 'token-classification';

/** What the lines of Python say of each kind of sample. */
const kinds = {
  image: { noun: 'picture', example: '"picture.jpg"', argument: 'picture.jpg' },
  text: { noun: 'text', example: '"A text."', argument: '"A text."' },
  audio: { noun: 'sound', example: '"sound.wav"', argument: 'sound.wav' },
} as const;

const processors = {
  image: 'AutoImageProcessor',
  text: 'AutoTokenizer',
  audio: 'AutoFeatureExtractor',
} as const;

function importLines(info: LoadInfo): string[] {
  return [
    ...(hasLabels(info) ? ['import json'] : []),
    ...(info.reads === 'audio' ? ['import soundfile'] : []),
    ...(info.library === 'timm' ? ['import timm'] : []),
    'import torch',
    'from peft import PeftModel',
    ...(info.reads === 'image' ? ['from PIL import Image, ImageOps'] : []),
    `from transformers import ${processors[info.reads]}${info.library === 'timm' ? '' : `, ${info.model}`}`,
  ];
}

/** Lines that bring a sample into `inputs`. */
function inputLines({ reads, library, interpolatePositions, size }: LoadInfo, sample: string): string[] {
  switch (reads) {
    case 'image':
      return [
        `image = ImageOps.exif_transpose(Image.open(${sample})).convert("RGB")`,
        library === 'timm'
          ? 'inputs = {"x": processor(image, return_tensors="pt")["pixel_values"]}'
          : `inputs = {"pixel_values": processor(image, return_tensors="pt")["pixel_values"]${interpolatePositions ? ', "interpolate_pos_encoding": True' : ''}}`,
      ];
    case 'text':
      return [`inputs = processor(${sample}, truncation=True, max_length=${size}, return_tensors="pt")`];
    case 'audio':
      return [
        `samples, rate = soundfile.read(${sample}, always_2d=True)`,
        'inputs = processor(samples.mean(1), sampling_rate=rate, return_tensors="pt")',
      ];
  }
}

function predictLines(info: LoadInfo, sample: string): string[] {
  const call = info.library === 'timm' ? 'model(**inputs)' : 'model(**inputs).logits';
  const lines = inputLines(info, sample);
  switch (info.task) {
    case 'classification':
      return [
        ...lines,
        'with torch.no_grad():',
        `    scores = ${call}.softmax(-1)[0].tolist()`,
        'for name, score in sorted(zip(labels, scores), key=lambda pair: -pair[1]):',
        '    print(f"{score:6.1%}  {name}")',
      ];
    case 'token-classification':
      return [
        ...lines,
        'with torch.no_grad():',
        '    best = model(**inputs).logits[0].argmax(-1).tolist()',
        'for token, tag in zip(processor.convert_ids_to_tokens(inputs["input_ids"][0]), best):',
        '    print(token, labels[tag])',
      ];
    case 'masked-lm':
      return [
        ...lines,
        'with torch.no_grad():',
        '    best = model(**inputs).logits[0].argmax(-1)',
        'print(processor.decode(best))',
      ];
    case 'causal-lm':
      return [...lines, 'print(processor.decode(model.generate(**inputs, max_new_tokens=64)[0]))'];
  }
}

function processorLines(info: LoadInfo, options: string): string[] {
  const given = info.reads === 'image' ? `, ${options}` : '';
  return [
    ...(info.reads === 'image' ? ['# Training resized its pictures as Pillow does.'] : []),
    `processor = ${processors[info.reads]}.from_pretrained(folder${given})`,
    ...(hasLabels(info) ? ['labels = json.load(open(f"{folder}/labels.json"))'] : []),
  ];
}

/** What a sample is brought to, and by which file. */
function sizeNote({ reads, size, library }: LoadInfo): string {
  const needs = library === 'timm' ? 'timm, transformers 5 (for the preprocessing)' : 'transformers 5';
  switch (reads) {
    case 'image':
      return `Needs ${needs} and peft. Pictures are brought to ${size} × ${size} pixels by preprocessor_config.json.`;
    case 'text':
      return `Needs ${needs} and peft. Texts are cut to ${size} tokens of tokenizer.json.`;
    case 'audio':
      return `Needs ${needs}, peft and soundfile. Sounds of ${size} s were trained on, at the rate that preprocessor_config.json names.`;
  }
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
    ...processorLines(info, 'backend="pil"'),
    '',
    ...predictLines(info, kinds[info.reads].example),
    '```',
  ];
  const notes = [sizeNote(info)];
  if (info.renamed) {
    notes.push(
      'transformers 5 renamed the modules of this family. With transformers 4, load the other file: `PeftModel.from_pretrained(base, folder, subfolder="transformers-4")`, and leave `backend="pil"` out.',
    );
  }
  if (info.withBase) notes.push(`\`python load.py ${kinds[info.reads].argument}\` does the same.`);
  else if (info.hubId === undefined)
    notes.push(
      'The base is on no hub: download the adapter together with its base, or put the path of the folder that it was trained on.',
    );
  return `${lines.join('\n')}\n\n${notes.join('\n\n')}`;
}

/** `load.py`: loads base and adapter from the unpacked zip and answers for the samples named on its command line. */
export function loaderScript(info: LoadInfo): string {
  const inside = { ...info, withBase: true };
  const lines = [
    `"""Answer for ${kinds[info.reads].noun}s with the base and the adapter of this folder: python load.py ${kinds[info.reads].argument} ..."""`,
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
    ...processorLines(info, '**({"use_fast": False} if older else {"backend": "pil"})'),
    '',
    'for sample in sys.argv[1:]:',
    '    print(sample)',
    ...predictLines(inside, 'sample').map((line) => `    ${line}`),
  ];
  return `${lines.join('\n')}\n`;
}
