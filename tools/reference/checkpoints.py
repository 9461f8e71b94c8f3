"""Tiny random checkpoints as Hugging Face folders, and what PyTorch computes with them and with the embedded backbones."""

import json
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from common import FIXTURES, ROOT, WEIGHTS, generator, smooth_images, write_json, write_tensors

sys.path.append(str(ROOT / "tools" / "weights"))
from int8 import plain_folder  # noqa: E402
from onnx_graph import run_graph, write_graph  # noqa: E402

CLASSES = ("blobs", "checks", "dots", "rings", "stripes")
LABELS = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: i for i, name in enumerate(CLASSES)}}

VIT = ViTConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8, **LABELS
)
# 7 x 7 positions, used at 5 x 5 and at 4 x 7 patches.
DINO = dict(hidden_size=32, num_attention_heads=4, mlp_ratio=2, image_size=28, patch_size=4, **LABELS)

WITH_GRAPH = ("vit-tiny", "dinov2-tiny")

PROCESSORS = {
    "vit": {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
    "dinov2": {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": 23},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 20, "width": 20},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    },
}


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Give every parameter a value that shows when it is left out: biases and norms too."""
    source = generator(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=source)
            if "lambda1" in name:
                value.copy_(0.6 + 0.3 * noise)
            elif "norm" in name and name.endswith("weight"):
                value.copy_(1 + 0.2 * noise)
            elif value.dim() < 2 or "embeddings" in name and "projection" not in name:
                value.copy_(0.3 * noise)
            else:
                value.copy_(noise * (2 / value[0].numel()) ** 0.5)


def disk_names(folder) -> list[str]:
    return sorted(load_file(folder / "model.safetensors"))


def outputs(model: PreTrainedModel, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Hidden states before each block and after the last, the final norm's output, what the head reads, and the logits."""
    base = getattr(model, model.base_model_prefix)
    resized = {"interpolate_pos_encoding": True} if isinstance(model, ViTForImageClassification) else {}
    hidden = base(pixels, output_hidden_states=True, **resized)
    found = {"pixel_values": pixels, "last_hidden_state": hidden.last_hidden_state}
    hook = model.classifier.register_forward_pre_hook(lambda _, inputs: found.update(features=inputs[0]))
    found["logits"] = model(pixels, **resized).logits
    hook.remove()
    return found | {f"hidden_states.{i}": value for i, value in enumerate(hidden.hidden_states)}


def write_checkpoint(name: str, model: PreTrainedModel, sizes: dict[str, tuple[int, int, int, int]], seed: int) -> None:
    """Save the folder; `sizes` maps a prefix in expected.safetensors ('' or 'wide.') to an input shape."""
    folder = FIXTURES / name
    model.eval()
    randomise(model, seed)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    write_json(folder / "preprocessor_config.json", PROCESSORS["vit" if name.startswith("vit") else "dinov2"])
    expected = {}
    for i, (prefix, shape) in enumerate(sizes.items()):
        pixels = smooth_images(shape, seed + 100 + i)
        with torch.no_grad():
            expected |= {prefix + key: value for key, value in outputs(model, pixels).items()}
        if prefix == "":
            labels = torch.arange(shape[0]) % len(CLASSES)
            loss = torch.nn.functional.cross_entropy(model(pixels).logits, labels)
            loss.backward()
            head, norm = model.classifier.weight, getattr(model, model.base_model_prefix).layernorm.weight
            expected |= {"labels": labels, "loss": loss, "grad.classifier.weight": head.grad}
            expected[f"grad.{model.base_model_prefix}.layernorm.weight"] = norm.grad
    write_tensors(folder / "expected.safetensors", expected)
    if name in WITH_GRAPH:
        write_graph(folder)
        check_graph(folder)
    print(f"{name}: {len(disk_names(folder))} tensors, logits {tuple(expected['logits'].shape)}")


def check_graph(folder: Path) -> None:
    """The graph in ONNX Runtime against every input in `<fixture>/expected.safetensors`."""
    expected = load_file(FIXTURES / folder.name / "expected.safetensors")
    for prefix in ("", "wide.", "odd."):
        if f"{prefix}pixel_values" in expected:
            for name, value in run_graph(folder, expected[f"{prefix}pixel_values"]).items():
                torch.testing.assert_close(value, expected[prefix + name], rtol=1e-4, atol=1e-4)


def vit_tiny() -> ViTForImageClassification:
    """The committed vit-tiny, read back from its folder."""
    return ViTForImageClassification.from_pretrained(FIXTURES / "vit-tiny").eval()


def write_tiny() -> None:
    square, wide = {"": (3, 3, 20, 20)}, {"wide.": (1, 3, 16, 28)}
    write_checkpoint("vit-tiny", ViTForImageClassification(VIT), {"": (3, 3, 32, 32), "wide.": (1, 3, 24, 48)}, 10)
    dino = Dinov2Config(num_hidden_layers=2, **DINO)
    write_checkpoint("dinov2-tiny", Dinov2ForImageClassification(dino), square | wide, 20)
    gated = Dinov2Config(num_hidden_layers=1, use_swiglu_ffn=True, use_mask_token=False, **DINO)
    write_checkpoint("dinov2-swiglu-tiny", Dinov2ForImageClassification(gated), square, 30)
    registers = Dinov2WithRegistersConfig(num_hidden_layers=1, num_register_tokens=3, **DINO)
    write_checkpoint("dinov2-registers-tiny", Dinov2WithRegistersForImageClassification(registers), square | wide, 40)


def efficientnet(num_classes: int = 0) -> torch.nn.Module:
    """timm's module in f32 with the committed weights."""
    folder = f"local-dir:{WEIGHTS / 'efficientnet-lite0'}"
    return timm.create_model(folder, pretrained=True, num_classes=num_classes).eval()


@torch.no_grad()
def write_embedded() -> None:
    """Outputs of the committed embedded backbones; their weights are not copied."""
    model = efficientnet()
    expected = {}
    for prefix, shape, seed in (("", (2, 3, 96, 96), 50), ("odd.", (1, 3, 67, 90), 51)):
        pixels = smooth_images(shape, seed)
        found = {"pixel_values": pixels}
        hooks = [
            module.register_forward_hook(
                lambda _, __, value, name=name: found.update({f"{name}.mean": value.mean(dim=(2, 3))})
            )
            for name, module in model.named_modules()
            if name.count(".") == 2 and name.startswith("blocks.") and name.split(".")[2].isdigit() or name == "bn1"
        ]
        found["features"] = model.forward_head(model.forward_features(pixels), pre_logits=True)
        for hook in hooks:
            hook.remove()
        expected |= {prefix + key: value for key, value in found.items()}
    write_tensors(FIXTURES / "efficientnet-lite0" / "expected.safetensors", expected)
    check_graph(WEIGHTS / "efficientnet-lite0")

    folder = WEIGHTS / "vit-s14-saliency"
    with plain_folder(folder) as plain:
        vit = Dinov2ForImageClassification.from_pretrained(plain, num_labels=2, dtype=torch.float32).eval()
    expected = {}
    for prefix, shape, seed in (("", (1, 3, 98, 98), 60), ("wide.", (1, 3, 70, 112), 61)):
        pixels = smooth_images(shape, seed) * 2
        expected[f"{prefix}pixel_values"] = pixels
        expected |= {prefix + k: v for k, v in outputs(vit, pixels).items() if k in ("features", "last_hidden_state")}
    write_tensors(FIXTURES / "vit-s14-saliency" / "expected.safetensors", expected)
    check_graph(folder)
    write_graft_vit()
    print("efficientnet-lite0, vit-s14-saliency, graft-vit: outputs at", json.dumps([96, "67x90", 98, "70x112", 32]))


@torch.no_grad()
def write_graft_vit() -> None:
    folder = WEIGHTS / "graft-vit"
    vit = ViTForImageClassification.from_pretrained(folder, num_labels=2, dtype=torch.float32).eval()
    found = outputs(vit, smooth_images((2, 3, 32, 32), 70))
    kept = ("pixel_values", "features", "last_hidden_state")
    (FIXTURES / "graft-vit").mkdir(exist_ok=True)
    write_tensors(FIXTURES / "graft-vit" / "expected.safetensors", {k: v for k, v in found.items() if k in kept})
    check_graph(folder)
