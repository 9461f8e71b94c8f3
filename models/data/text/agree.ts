import type { JsonObject } from '../../checkpoints/folder.ts';

/** White space of Unicode, as it stands within the brackets of a character class: JavaScript's `\s` has U+FEFF too, and not U+0085. */
const SPACE = '\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** How ByteLevel splits, white space spelt out. */
const BYTE_LEVEL = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`;

/** A pre-tokenizer of `tokenizer.json` with the white space that Rust's regular expressions know. */
export function withUnicodeSpace(part: unknown): unknown {
  if (typeof part !== 'object' || part === null) return part;
  const step = part as JsonObject;
  switch (step.type) {
    case 'Sequence':
      return { ...step, pretokenizers: (step.pretokenizers as unknown[]).map(withUnicodeSpace) };
    case 'Split': {
      const { Regex } = (step.pattern ?? {}) as { Regex?: string };
      return Regex === undefined ? step : { ...step, pattern: { Regex: spelt(Regex) } };
    }
    case 'ByteLevel':
      // A space in front has to be there before the split.
      if (step.use_regex === false || step.add_prefix_space === true) return step;
      return {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: BYTE_LEVEL }, behavior: 'Isolated', invert: false },
          { ...step, use_regex: false },
        ],
      };
    default:
      return step;
  }
}

function spelt(pattern: string): string {
  let inClass = false;
  let out = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === '\\') {
      const next = pattern[++i];
      if (next === 's') out += inClass ? SPACE : `[${SPACE}]`;
      else if (next === 'S' && !inClass) out += `[^${SPACE}]`;
      else out += c + next;
      continue;
    }
    if (c === '[') inClass = true;
    if (c === ']') inClass = false;
    out += c;
  }
  return out;
}

/**
 * BERT's normaliser letter by letter, as the Rust library applies it: ideographs beyond U+FFFF count as such, and a
 * capital sigma becomes σ wherever it stands.
 */
export function bertNormaliser(config: JsonObject): (text: string) => string {
  const lowercase = config.lowercase !== false;
  const strip = (config.strip_accents ?? lowercase) as boolean;
  return (text) => {
    let out = text;
    if (config.clean_text !== false) out = Array.from(out, cleaned).join('');
    if (config.handle_chinese_chars !== false)
      out = Array.from(out, (c) => (isIdeograph(c.codePointAt(0)!) ? ` ${c} ` : c)).join('');
    if (strip) out = out.normalize('NFD').replace(/\p{Mn}/gu, '');
    return lowercase ? Array.from(out, (c) => c.toLowerCase()).join('') : out;
  };
}

/** Control, format and private characters and the mark of a lost letter go; white space becomes a plain space. */
function cleaned(c: string): string {
  if (/^[\t\n\r]$/.test(c)) return ' ';
  if (c === '\ufffd' || /^[\p{Cc}\p{Cf}\p{Co}\p{Cs}]$/u.test(c)) return '';
  return /^\p{White_Space}$/u.test(c) ? ' ' : c;
}

const ideographs = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
] as const;

const isIdeograph = (code: number) => ideographs.some(([first, last]) => code >= first && code <= last);
