"""Small source images and what Pillow and Hugging Face's image processors (Pillow backend) make of them."""

import json

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from checkpoints import PROCESSORS
from common import FIXTURES, WEIGHTS, write_json, write_tensors

FOLDER = FIXTURES / "images"
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
# Width x height: smaller, larger, one axis each way, and far apart in scale.
RESIZES = {"photo.jpg": ((20, 17), (101, 80), (53, 19), (90, 37), (7, 111)), "tiny.png": ((5, 7),), "grey.png": ((23, 23),)}


def picture(width: int, height: int, seed: int, channels: int = 3) -> np.ndarray:
    """[height, width, channels] bytes: gradients, waves, and hard edges that ring under a cubic filter."""
    source = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        fx, fy, phase = source.uniform(0.05, 0.6), source.uniform(0.05, 0.6), source.uniform(0, 6)
        planes.append(128 + 90 * np.sin(fx * x + fy * y + phase) + 60 * (x / width - y / height))
    image = np.stack(planes, -1)
    image[height // 4 : height // 2, width // 3 : width // 2] = (250, 5, 130, 90)[:channels]
    image[(x + 2 * y) % 17 < 2] = (0, 255, 20, 255)[:channels]
    return image.clip(0, 255).round().astype(np.uint8)


def write_sources() -> list[str]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rgb = Image.fromarray
    rgb(picture(53, 37, 1)).save(FOLDER / "photo.jpg", quality=90)
    rgb(picture(38, 61, 2)).save(FOLDER / "photo-444.jpg", quality=95, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb(picture(40, 29, 3)).save(FOLDER / "rotated.jpg", quality=92, exif=exif)
    rgb(picture(41, 31, 4, 1)[..., 0]).save(FOLDER / "grey.png")
    rgb(picture(37, 53, 5, 1)[..., 0]).save(FOLDER / "grey.jpg", quality=90)
    alpha = picture(33, 47, 6, 4)
    alpha[..., 3] = np.linspace(0, 255, 33).round().astype(np.uint8)[None]
    rgb(alpha).save(FOLDER / "rgba.png")
    palette = rgb(picture(45, 30, 7)).quantize(16, dither=Image.Dither.NONE)
    palette.save(FOLDER / "palette.png")
    palette.save(FOLDER / "palette-transparent.png", transparency=3)
    rgb(picture(64, 48, 8)).save(FOLDER / "wide.png")
    rgb(picture(3, 2, 9)).save(FOLDER / "tiny.png")
    rgb(picture(27, 35, 10)).save(FOLDER / "lossless.webp", lossless=True)
    return sorted(p.name for p in FOLDER.iterdir() if p.suffix in (".jpg", ".png", ".webp"))


def processors() -> dict:
    """Name of a processor in expected.safetensors to (its JSON, the processor)."""
    default = json.loads((WEIGHTS / "efficientnet-lite0" / "preprocessor_config.json").read_text())
    # The embedded default at a smaller working size, its 256 : 224 kept.
    small = {**default, "size": {"shortest_edge": 55}, "crop_size": {"height": 48, "width": 48}}
    uneven = {**PROCESSORS["dinov2"], "size": {"height": 21, "width": 34}, "crop_size": {"height": 25, "width": 30}}
    configs = {"vit": PROCESSORS["vit"], "dinov2": PROCESSORS["dinov2"], "efficientnet48": small, "uneven": uneven}
    classes = {"ViTImageProcessor": ViTImageProcessorPil, "BitImageProcessor": BitImageProcessorPil}
    return {name: (c, classes[c["image_processor_type"]](**{**c, "do_convert_rgb": True})) for name, c in configs.items()}


def write() -> None:
    names = write_sources()
    known = processors()
    write_json(FOLDER / "processors.json", {name: config for name, (config, _) in known.items()})
    expected = {}
    for name in names:
        image = ImageOps.exif_transpose(Image.open(FOLDER / name))
        pixels = {key: processor(image, return_tensors="pt")["pixel_values"][0] for key, (_, processor) in known.items()}
        expected |= {f"{name}/{key}": value for key, value in pixels.items()}
        # An identity pass leaves the decoded, oriented image on white.
        plain = known["vit"][1](image, do_resize=False, do_rescale=False, do_normalize=False, return_tensors="np")
        rgb = plain["pixel_values"][0].transpose(1, 2, 0).astype(np.uint8)
        expected[f"{name}/rgb"] = torch.from_numpy(rgb.copy())
        for width, height in RESIZES.get(name, ()):
            for filter_name, resample in FILTERS.items():
                resized = Image.fromarray(rgb).resize((width, height), resample)
                expected[f"{name}/{filter_name}/{width}x{height}"] = torch.from_numpy(np.array(resized))
    photo = ImageOps.exif_transpose(Image.open(FOLDER / "wide.png"))
    full = BitImageProcessorPil(**json.loads((WEIGHTS / "efficientnet-lite0" / "preprocessor_config.json").read_text()))
    expected["wide.png/efficientnet224"] = full(photo, return_tensors="pt")["pixel_values"][0, :, ::4, ::4]
    write_tensors(FOLDER / "expected.safetensors", expected)
    print(f"images: {len(names)} files, {len(expected)} results")
