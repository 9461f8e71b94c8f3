/** What a file is, told by its first bytes alone. */
export type FileKind =
  | 'jpeg'
  | 'png'
  | 'webp'
  | 'gif'
  | 'bmp'
  | 'tiff'
  | 'heic'
  | 'avif'
  | 'svg'
  | 'pdf'
  | 'zip'
  | 'wav'
  | 'mp3'
  | 'ogg'
  | 'flac'
  | 'opus'
  | 'audio'
  | 'video'
  | 'pickle'
  | 'text'
  | 'empty'
  | 'unknown';

/** Bytes that `sniff` wants to see. */
export const sniffLength = 512;

/** The kinds that can be decoded. */
export type ImageKind = 'jpeg' | 'png' | 'webp';

export function isImage(kind: FileKind): kind is ImageKind {
  return kind === 'jpeg' || kind === 'png' || kind === 'webp';
}

/** The kinds of sounds that can be decoded. */
export type SoundKind = 'wav' | 'mp3' | 'ogg' | 'flac';

export function isSound(kind: FileKind): kind is SoundKind {
  return kind === 'wav' || kind === 'mp3' || kind === 'ogg' || kind === 'flac';
}

const ascii = (bytes: Uint8Array, begin: number, end: number) =>
  String.fromCharCode(...bytes.subarray(begin, Math.min(end, bytes.length)));

/** The kind of a file by its first `sniffLength` bytes; its name is never asked. */
export function sniff(head: Uint8Array): FileKind {
  if (head.length === 0) return 'empty';
  if (head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff) return 'jpeg';
  const four = ascii(head, 0, 4);
  if (ascii(head, 0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (four === 'RIFF') return sniffRiff(ascii(head, 8, 12));
  if (four === 'GIF8') return 'gif';
  if (four === 'II*\0' || four === 'MM\0*') return 'tiff';
  if (ascii(head, 0, 2) === 'BM' && head.length >= 14 && head[6] === 0 && head[7] === 0) return 'bmp';
  if (ascii(head, 4, 8) === 'ftyp') return sniffFtyp(ascii(head, 8, 12));
  if (four === 'PK\x03\x04' || four === 'PK\x05\x06') return 'zip';
  if (four === '%PDF') return 'pdf';
  if (four === 'fLaC') return 'flac';
  if (four === 'OggS') return sniffOgg(ascii(head, 0, head.length));
  if (ascii(head, 0, 3) === 'ID3' || isMp3Frame(head)) return 'mp3';
  if (four === 'FORM' || four === '.snd' || four === 'caff' || isAdts(head)) return 'audio';
  if (head[0] === 0x1a && head[1] === 0x45 && head[2] === 0xdf && head[3] === 0xa3) return 'video';
  if (head[0] === 0x80 && head[1] >= 2 && head[1] <= 5) return 'pickle';
  return sniffText(head);
}

function sniffRiff(form: string): FileKind {
  if (form === 'WEBP') return 'webp';
  return form === 'WAVE' ? 'wav' : form === 'AVI ' ? 'video' : 'unknown';
}

/** The first page names the codec of its stream. */
function sniffOgg(page: string): FileKind {
  if (page.includes('\x01vorbis')) return 'ogg';
  return page.includes('OpusHead') ? 'opus' : /theora|dirac/.test(page) ? 'video' : 'audio';
}

/** A frame's sync bits before a layer, bit rate and sample rate that exist. */
function isMp3Frame(head: Uint8Array): boolean {
  if (head.length < 4 || head[0] !== 0xff || (head[1] & 0xe0) !== 0xe0) return false;
  const [version, layer] = [(head[1] >> 3) & 3, (head[1] >> 1) & 3];
  const [bits, rate] = [head[2] >> 4, (head[2] >> 2) & 3];
  return version !== 1 && layer !== 0 && bits !== 0 && bits !== 15 && rate !== 3;
}

/** AAC as broadcast: the sync of MP3 with a layer of 0. */
function isAdts(head: Uint8Array): boolean {
  return head.length > 3 && head[0] === 0xff && (head[1] & 0xf6) === 0xf0;
}

function sniffFtyp(brand: string): FileKind {
  if (brand === 'avif' || brand === 'avis') return 'avif';
  if (/^(heic|heix|heif|hevc|mif1|msf1)$/.test(brand)) return 'heic';
  return brand.startsWith('M4A') ? 'audio' : 'video';
}

function sniffText(head: Uint8Array): FileKind {
  if (
    head.some((byte) => byte === 0 || (byte < 32 && byte !== 9 && byte !== 10 && byte !== 13 && byte !== 27))
  )
    return 'unknown';
  return /<svg[\s>]/i.test(ascii(head, 0, head.length)) ? 'svg' : 'text';
}

/** The media type by which a browser shows or plays a picture or a sound. */
export function mimeOf(kind: FileKind): string {
  return isSound(kind) ? `audio/${kind === 'mp3' ? 'mpeg' : kind}` : isImage(kind) ? `image/${kind}` : '';
}

/** Why a file of this kind is not taken as a picture, and what to do. */
export function whyNotImage(kind: FileKind): string {
  switch (kind) {
    case 'empty':
      return 'it is empty (0 bytes)';
    case 'gif':
    case 'bmp':
    case 'tiff':
    case 'heic':
    case 'avif':
      return `${kind.toUpperCase()} pictures are not read; save it as PNG, JPEG or WebP`;
    case 'svg':
      return 'SVG is a drawing made of code and is not read; save it as PNG';
    case 'zip':
      return 'a zip within the drop is not opened; drop that zip by itself';
    case 'pickle':
      return 'it is a Python pickle, which can run code, and is never opened';
    case 'unknown':
      return 'its content is no picture that is known here (JPEG, PNG, WebP)';
    case 'text':
      return 'it is a text file, not a picture';
    default:
      return `it is ${isSound(kind) || kind === 'audio' || kind === 'opus' ? 'a sound' : kind === 'video' ? 'a video' : `a ${kind.toUpperCase()} file`}, not a picture`;
  }
}

/** Why a file of this kind is not taken as a sound, and what to do. */
export function whyNotSound(kind: FileKind): string {
  switch (kind) {
    case 'empty':
      return 'it is empty (0 bytes)';
    case 'opus':
    case 'audio':
    case 'video':
      return `its ${kind === 'opus' ? 'Opus coding' : kind === 'audio' ? 'kind of sound' : 'video or M4A container'} is not read; save it as WAV, FLAC, MP3 or Ogg Vorbis`;
    case 'zip':
      return 'a zip within the drop is not opened; drop that zip by itself';
    case 'pickle':
      return 'it is a Python pickle, which can run code, and is never opened';
    case 'unknown':
      return 'its content is no sound that is known here (WAV, FLAC, MP3, Ogg Vorbis)';
    case 'text':
      return 'it is a text file, not a sound';
    default:
      return isImage(kind)
        ? 'it is a picture, not a sound'
        : `it is a ${kind.toUpperCase()} file, not a sound`;
  }
}
