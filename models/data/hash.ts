/** 32 bits from two words, well mixed (the finaliser of MurmurHash3 over a golden-ratio step). Pure: the same words, the same bits. */
export function hash32(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  for (const constant of [0x85ebca6b, 0xc2b2ae35]) {
    h ^= h >>> 16;
    h = Math.imul(h, constant);
  }
  h ^= h >>> 13;
  h = Math.imul(h, 0x27d4eb2f);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 32 bits from a text (FNV-1a over its UTF-16 units). */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** 64 bits, as 16 hexadecimal digits, from words: two chains that have nothing in common. */
export function digest(words: ArrayLike<number>): string {
  let a = 0x811c9dc5;
  let b = words.length;
  for (let i = 0; i < words.length; i++) {
    a = Math.imul(a ^ words[i], 0x01000193);
    b = hash32(b, words[i]);
  }
  return [hash32(a, words.length), b].map((h) => h.toString(16).padStart(8, '0')).join('');
}

/** The same of a text. */
export const digestText = (text: string): string =>
  digest(Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)));

/** Draw number `counter` of a stream as a fraction in [0, 1), a multiple of 2^-32. */
export function uniform(stream: number, counter: number): number {
  return hash32(stream, counter) / 2 ** 32;
}
