import type { ImageKind } from './sniff.ts';

/** What a picture's header says. */
export interface ImageHeader {
  readonly width: number;
  readonly height: number;
  /** Colour components: 1 grey, 3 colour, 4 with alpha (or CMYK in a JPEG); 0 where the header does not say. */
  readonly components: number;
  readonly animated?: boolean;
}

const be16 = (bytes: Uint8Array, at: number) => (bytes[at] << 8) | bytes[at + 1];
const be32 = (bytes: Uint8Array, at: number) => be16(bytes, at) * 65536 + be16(bytes, at + 2);
const le16 = (bytes: Uint8Array, at: number) => bytes[at] | (bytes[at + 1] << 8);
const le24 = (bytes: Uint8Array, at: number) => le16(bytes, at) | (bytes[at + 2] << 16);

/**
 * A picture's size as its header states it, before orientation is applied, without decoding. Undefined where the
 * header is damaged or cut short.
 */
export function readImageHeader(bytes: Uint8Array, kind: ImageKind): ImageHeader | undefined {
  const header = { jpeg: jpegHeader, png: pngHeader, webp: webpHeader }[kind](bytes);
  return header && header.width > 0 && header.height > 0 ? header : undefined;
}

function jpegHeader(bytes: Uint8Array): ImageHeader | undefined {
  let at = 2;
  while (at + 9 < bytes.length) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++;
      continue;
    }
    // Start of frame is C0 to CF but for Huffman tables (C4), extensions (C8) and arithmetic conditioning (CC).
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { height: be16(bytes, at + 5), width: be16(bytes, at + 7), components: bytes[at + 9] };
    }
    const standalone = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    if (marker === 0xd9 || marker === 0xda) return undefined;
    at += standalone ? 2 : 2 + be16(bytes, at + 2);
  }
  return undefined;
}

function pngHeader(bytes: Uint8Array): ImageHeader | undefined {
  if (bytes.length < 33 || be32(bytes, 12) !== 0x49484452) return undefined;
  const components = ({ 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 } as Record<number, number>)[bytes[25]] ?? 0;
  return { width: be32(bytes, 16), height: be32(bytes, 20), components };
}

function webpHeader(bytes: Uint8Array): ImageHeader | undefined {
  if (bytes.length < 30) return undefined;
  switch (String.fromCharCode(...bytes.subarray(12, 16))) {
    case 'VP8 ':
      return { width: le16(bytes, 26) & 0x3fff, height: le16(bytes, 28) & 0x3fff, components: 3 };
    case 'VP8L': {
      const bits = le24(bytes, 21) + bytes[24] * 2 ** 24;
      return { width: (bits % 16384) + 1, height: (Math.floor(bits / 16384) % 16384) + 1, components: 0 };
    }
    case 'VP8X':
      return {
        width: le24(bytes, 24) + 1,
        height: le24(bytes, 27) + 1,
        components: bytes[20] & 16 ? 4 : 3,
        animated: (bytes[20] & 2) !== 0,
      };
    default:
      return undefined;
  }
}
