"""Paths, seeded data and writing of fixtures."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tools" / "reference" / "fixtures"
WEIGHTS = ROOT / "models" / "weights"


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_images(shape: tuple[int, int, int, int], seed: int) -> torch.Tensor:
    """[n, c, h, w] in about -1..1: noise with most of its energy at low frequencies, as photos have."""
    count, channels, height, width = shape
    source = generator(seed)
    images = torch.zeros(shape)
    for cells in (3, 7, 19):
        noise = torch.randn(count, channels, cells, cells, generator=source)
        images += torch.nn.functional.interpolate(noise, size=(height, width), mode="bicubic") / cells**0.5
    return (images * 0.7).clamp(-1, 1)


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write safetensors; floats become f32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {
        name: (value.detach().float() if value.is_floating_point() else value.detach()).contiguous().clone()
        for name, value in tensors.items()
    }
    # One metadata key only: with several, their order and so the file's bytes would vary from run to run.
    save_file(plain, path, metadata={"format": "pt"})
    path.chmod(0o644)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")
