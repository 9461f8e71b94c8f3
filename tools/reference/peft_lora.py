"""Twenty steps of LoRA on vit-tiny in PEFT: start, images, losses, end. The loss curve that ours has to follow."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image

from checkpoints import CLASSES, PROCESSORS, vit_tiny
from common import FIXTURES, ROOT, generator, write_json, write_tensors

FOLDER = FIXTURES / "peft-vit-lora"
# Uneven, so that consecutive batches of 8 in path order mix classes.
COUNTS = (5, 11, 6, 10, 8)
SETTINGS = {
    "method": "lora",
    "r": 4,
    "lora_alpha": 8,
    "target_modules": ["q_proj", "v_proj"],
    "lora_dropout": 0.0,
    "lr": 1e-3,
    "schedule": "constant",
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "weight_decay": 0.01,
    "clip": 0,
    "batch": 8,
    "steps": 20,
}


def draw(kind: str, seed: int) -> np.ndarray:
    """[32, 32, 3] bytes of one class."""
    source = np.random.default_rng(seed)
    y, x = np.mgrid[0:32, 0:32].astype(np.float64)
    cx, cy, pitch, turn = source.uniform(8, 24), source.uniform(8, 24), source.uniform(5, 8), source.uniform(0, 3.1)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    radius = np.hypot(x - cx, y - cy)
    shape = {
        "blobs": np.exp(-((radius / 7) ** 2)),
        "checks": (np.sin(6.28 * u / pitch) * np.sin(6.28 * v / pitch) > 0).astype(np.float64),
        "dots": np.clip(np.cos(6.28 * x / pitch) * np.cos(6.28 * y / pitch), 0, 1),
        "rings": 0.5 + 0.5 * np.sin(6.28 * radius / pitch),
        "stripes": 0.5 + 0.5 * np.sin(6.28 * u / pitch),
    }[kind]
    low, high = source.uniform(0, 110, 3), source.uniform(140, 255, 3)
    # Sixteen levels keep the files small.
    return (np.round((low + shape[..., None] * (high - low)) / 16) * 16).clip(0, 255).astype(np.uint8)


def write_images() -> None:
    for row, (kind, count) in enumerate(zip(CLASSES, COUNTS)):
        folder = FOLDER / "images" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(draw(kind, 100 * row + i)).save(folder / f"{kind}-{i:02d}.png", optimize=True)


def read_images() -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Pixels [40, 3, 32, 32] as vit-tiny's processor makes them, labels, and paths, in path order."""
    processor = PROCESSORS["vit"]
    files = sorted((FOLDER / "images").glob("*/*.png"), key=lambda p: p.relative_to(FOLDER).as_posix())
    pixels = np.stack([np.array(Image.open(f)).transpose(2, 0, 1) for f in files]) * processor["rescale_factor"]
    pixels = (pixels.astype(np.float32) - np.float32(0.5)) / np.float32(0.5)
    labels = torch.tensor([CLASSES.index(f.parent.name) for f in files])
    return torch.from_numpy(pixels), labels, [f.relative_to(FOLDER / "images").as_posix() for f in files]


def write_start() -> None:
    """An adapter with both factors away from zero, saved by PEFT itself."""
    model = vit_tiny()
    # PEFT writes this into the adapter: the folder as seen from the repository's root.
    model.name_or_path = model.config._name_or_path = "tools/reference/fixtures/vit-tiny"
    adapter = get_peft_model(
        model,
        LoraConfig(
            r=SETTINGS["r"],
            lora_alpha=SETTINGS["lora_alpha"],
            lora_dropout=0.0,
            target_modules=SETTINGS["target_modules"],
            modules_to_save=["classifier"],
        ),
    )
    source = generator(77)
    with torch.no_grad():
        for name, value in adapter.named_parameters():
            if "lora_" in name:
                value.copy_(torch.randn(value.shape, generator=source) * 0.15)
    save_adapter(adapter, FOLDER / "init")


def save_adapter(adapter: PeftModel, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    adapter.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "adapter_model.safetensors").chmod(0o644)
    config = json.loads((folder / "adapter_config.json").read_text())
    # Lists that PEFT keeps as sets come out in any order.
    for key in ("target_modules", "modules_to_save"):
        config[key] = sorted(config[key])
    write_json(folder / "adapter_config.json", config)


def train() -> tuple[PeftModel, dict[str, torch.Tensor]]:
    pixels, labels, _ = read_images()
    adapter = PeftModel.from_pretrained(vit_tiny(), FOLDER / "init", is_trainable=True)
    # Without dropout, train and eval mode are the same; PEFT's order of parameters does not matter to AdamW.
    leaves = [p for p in adapter.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        leaves, lr=SETTINGS["lr"], betas=tuple(SETTINGS["betas"]), eps=SETTINGS["eps"], weight_decay=SETTINGS["weight_decay"]
    )
    with torch.no_grad():
        first = adapter(pixel_values=pixels).logits
    losses, norms = [], []
    for step in range(SETTINGS["steps"]):
        rows = torch.arange(step * SETTINGS["batch"], (step + 1) * SETTINGS["batch"]) % len(labels)
        loss = torch.nn.functional.cross_entropy(adapter(pixel_values=pixels[rows]).logits, labels[rows])
        optimiser.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(leaves, float("inf")))
        optimiser.step()
        losses.append(loss.detach())
    with torch.no_grad():
        last = adapter(pixel_values=pixels).logits
    found = {"labels": labels, "initial_logits": first, "final_logits": last}
    return adapter, found | {"losses": torch.stack(losses), "grad_norms": torch.stack(norms)}


def write() -> None:
    os.chdir(ROOT)
    write_images()
    write_start()
    adapter, found = train()
    save_adapter(adapter, FOLDER / "final")
    write_tensors(FOLDER / "expected.safetensors", found)
    _, _, files = read_images()
    write_json(FOLDER / "settings.json", {**SETTINGS, "backbone": "vit-tiny", "classes": list(CLASSES), "files": files})
    losses = found["losses"].tolist()
    print(f"peft-vit-lora: loss {losses[0]:.4f} to {losses[-1]:.4f} in {len(losses)} steps")
