"""Weights of linear layers as int8 with a scale for each row: `x.weight` (I8) and `x.weight_scale` (F32), as compressed-tensors names them."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def step(top: torch.Tensor) -> torch.Tensor:
    return (top / 127).float()


def int8_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and scales [rows, 1] of a matrix, symmetric; quantising what they stand for gives them again."""
    top = weight.float().abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True)
    scale = step(127 * step(top))
    codes = torch.where(scale > 0, weight.float() / scale, 0).round().clamp(-127, 127)
    return codes.to(torch.int8), scale


def quantised(tensors: dict[str, torch.Tensor], rows: list[str]) -> dict[str, torch.Tensor]:
    """The tensors with those named in `rows` as codes and scales."""
    result = {}
    for name, value in tensors.items():
        if name in rows:
            result[name], result[f"{name}_scale"] = int8_rows(value)
        else:
            result[name] = value
    return result


def dequantised(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What such tensors stand for, in f32."""
    result = {}
    for name, value in tensors.items():
        if name.endswith("_scale") and name.removesuffix("_scale") in tensors:
            continue
        scale = tensors.get(f"{name}_scale")
        result[name] = value.float() if scale is None else value.float() * scale
    return result


def quantization_config(ignore: list[str]) -> dict:
    """What tells transformers how to read them, with the package compressed-tensors."""
    weights = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ignore,
    }


@contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """A Hugging Face folder's configuration and weights in f32, for who reads no int8; it lasts as long as the block."""
    config = json.loads((folder / "config.json").read_text())
    config.pop("quantization_config", None)
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name)
        (plain / "config.json").write_text(json.dumps(config))
        tensors = {key: value.contiguous() for key, value in dequantised(load_file(folder / "model.safetensors")).items()}
        save_file(tensors, plain / "model.safetensors", metadata={"format": "pt"})
        yield plain
