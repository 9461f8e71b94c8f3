"""Pictures of every kind that models/data decodes or refuses, with the SHA-256 of what Pillow makes of each.

    python tools/codecs/fixtures.py    (Pillow 13, NumPy; the environment of tools/reference/requirements.txt)
"""

import hashlib
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FOLDER = Path(__file__).resolve().parents[2] / "models" / "data" / "fixtures"
WIDTH, HEIGHT = 21, 13
random = np.random.default_rng(3)
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
rgb = np.stack([(x * 12) % 256, (y * 19) % 256, ((x + y) * 9) % 256], -1)
rgb = np.clip(rgb + random.integers(-20, 20, rgb.shape), 0, 255).astype(np.uint8)
alpha = ((x * 13) % 256).astype(np.uint8)
deep = (rgb.astype(np.uint16) * 256 + random.integers(0, 256, rgb.shape)).astype(np.uint16)
deep_alpha = (x * 3000).astype(np.uint16)
image = Image.fromarray(rgb)


def part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(name: str, depth: int, colour: int, rows: bytes, interlace: int = 0) -> None:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlace)
    parts = part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows, 9)) + part(b"IEND", b"")
    (FOLDER / name).write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def packed(values: np.ndarray, depth: int) -> bytes:
    """Rows of values of `depth` bits, each row filled up to whole bytes, with filter 0."""
    bits = ((values[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(len(values), -1)
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def interlaced(values: np.ndarray, depth: int) -> bytes:
    passes = [values[top::down, left::right] for left, top, right, down in ADAM7]
    return b"".join(packed(p.reshape(len(p), -1), depth) for p in passes if p.size)


def write_pngs() -> None:
    for depth in (1, 2, 4):
        values = random.integers(0, 2**depth, (HEIGHT, WIDTH))
        png(f"grey-{depth}.png", depth, 0, packed(values, depth))
        png(f"grey-{depth}-interlaced.png", depth, 0, interlaced(values, depth), 1)
    for name, colour, planes in (
        ("rgb-16.png", 2, deep),
        ("rgba-16.png", 6, np.concatenate([deep, deep_alpha[..., None]], -1)),
        ("grey-alpha-16.png", 4, np.stack([deep[..., 0], deep_alpha], -1)),
    ):
        png(name, 16, colour, b"".join(b"\0" + row.astype(">u2").tobytes() for row in planes))
    png("rgb-interlaced.png", 8, 2, interlaced(rgb, 8), 1)
    grey_alpha = image.convert("L")
    grey_alpha.putalpha(Image.fromarray(alpha))
    grey_alpha.save(FOLDER / "grey-alpha.png")
    image.save(FOLDER / "rgb-transparent.png", transparency=tuple(int(v) for v in rgb[0, 0]))
    image.convert("L").save(FOLDER / "grey-transparent.png", transparency=int(rgb[0, 0, 0]))
    image.quantize(5).save(FOLDER / "palette-4.png")
    image.convert("1").save(FOLDER / "bits.png")


def write_others() -> None:
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        image.save(FOLDER / f"turned-{turn}.jpg", quality=90, exif=exif)
    image.save(FOLDER / "progressive.jpg", quality=80, progressive=True)
    image.save(FOLDER / "sampled.jpg", quality=60, subsampling=1)
    see_through = image.copy()
    see_through.putalpha(Image.fromarray(alpha))
    image.save(FOLDER / "lossy.webp", quality=80)
    see_through.save(FOLDER / "lossy-alpha.webp", quality=80)
    see_through.save(FOLDER / "lossless-alpha.webp", lossless=True, exact=True)


def write_refused() -> None:
    (FOLDER / "refused").mkdir(exist_ok=True)
    image.save(FOLDER / "refused" / "moving.webp", save_all=True, append_images=[image.rotate(90)], duration=100)
    image.convert("CMYK").save(FOLDER / "refused" / "print.jpg")
    image.save(FOLDER / "refused" / "picture.gif")
    image.save(FOLDER / "refused" / "picture.bmp")
    whole = (FOLDER / "progressive.jpg").read_bytes()
    (FOLDER / "refused" / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    whole = (FOLDER / "rgb-16.png").read_bytes()
    (FOLDER / "refused" / "cut.png").write_bytes(whole[: len(whole) // 2])


def expected(path: Path) -> dict:
    """Transparency on white, as transformers' convert_to_rgb does."""
    found = ImageOps.exif_transpose(Image.open(path))
    if "A" in found.getbands() or found.info.get("transparency") is not None:
        found = found.convert("RGBA")
        found = Image.alpha_composite(Image.new("RGBA", found.size, (255, 255, 255, 255)), found)
    pixels = np.asarray(found.convert("RGB"))
    return {"width": pixels.shape[1], "height": pixels.shape[0], "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}


def resizes() -> list:
    """Pillow's own result for pictures made by a formula: (x * 7 + y * 13 + c * 29) * (x + 3 * y + 1) modulo 256."""
    cases = []
    for width, height, to, box in (
        (53, 37, (20, 11), None),
        (53, 37, (100, 90), None),
        (53, 37, (53, 20), None),
        (53, 37, (20, 37), None),
        (7, 5, (64, 64), None),
        (1, 1, (5, 3), None),
        (301, 200, (32, 32), None),
        # So tall that Pillow takes the columns first.
        (20, 300, (18, 17), None),
        (53, 37, (30, 30), (3.5, 2.25, 40.5, 30.75)),
        (53, 37, (53, 37), (1, 1, 50, 30)),
        (53, 37, (10, 37), (10, 0, 20, 37)),
    ):
        v, u = np.mgrid[0:height, 0:width]
        planes = [((u * 7 + v * 13 + c * 29) * (u + 3 * v + 1)) % 256 for c in range(3)]
        source = Image.fromarray(np.stack(planes, -1).astype(np.uint8))
        for resample in range(6):
            result = np.asarray(source.resize(to, resample=resample, box=box))
            digest = hashlib.sha256(result.tobytes()).hexdigest()
            cases.append({"from": [width, height], "to": to, "box": box, "resample": resample, "sha256": digest})
    return cases


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_pngs()
    write_others()
    write_refused()
    pictures = {p.name: expected(p) for p in sorted(FOLDER.iterdir()) if p.suffix in (".jpg", ".png", ".webp")}
    text = json.dumps({"pictures": pictures, "resizes": resizes()}, indent=1)
    (FOLDER / "expected.json").write_text(text + "\n")
    print(f"{len(pictures)} pictures")


main()
