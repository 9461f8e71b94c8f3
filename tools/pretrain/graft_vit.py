"""Graft-ViT: a small Vision Transformer distilled from EfficientNet-Lite0 on small photographs.

`python tools/pretrain/graft_vit.py --photos FOLDER` with FOLDER/<class>/<file> (CIFAR-10's training pictures).
It writes models/weights/graft-vit/, and prints how well a neighbour vote on its class token does.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from transformers import ViTConfig, ViTModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "weights"))
from onnx_graph import write_graph  # noqa: E402
from package import WEIGHTS, with_files, write_backbone, write_json  # noqa: E402
from sources import ROOT, Source  # noqa: E402

NAME = "graft-vit"
SIDE = 32
TEACHER_SIDE = 96
# (x - 0.5) / 0.5, as ViT's own image processor scales.
PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}
CONFIG = ViTConfig(
    hidden_size=64,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=256,
    image_size=SIDE,
    patch_size=4,
    layer_norm_eps=1e-6,
)


def read_photos(folder: Path, each: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures u8 [n, 3, 32, 32] and labels [n], the first `each` of every class."""
    classes = sorted(p for p in folder.iterdir() if p.is_dir())
    pictures, labels = [], []
    for label, path in enumerate(classes):
        for file in sorted(path.iterdir())[:each]:
            pictures.append(np.asarray(Image.open(file).convert("RGB")))
            labels.append(label)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), torch.tensor(labels)


@torch.no_grad()
def teacher_features(pictures: torch.Tensor) -> torch.Tensor:
    """EfficientNet-Lite0's pooled features of every picture at 96 px, centred and of unit length: [n, 1280]."""
    import timm

    net = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    state = {k: v.float() for k, v in load_file(WEIGHTS / "efficientnet-lite0" / "model.safetensors").items()}
    net.load_state_dict(state, strict=False)
    net = net.to(memory_format=torch.channels_last)
    found = []
    for batch in pictures.split(250):
        x = F.interpolate(batch.float(), TEACHER_SIDE, mode="bicubic", antialias=True)
        found.append(net(((x - 127) / 128).contiguous(memory_format=torch.channels_last)))
    features = torch.cat(found)
    return F.normalize(features - features.mean(0), dim=1)


def augmented(batch: torch.Tensor) -> torch.Tensor:
    """Flipped at random and moved by up to 3 pixels."""
    flip = torch.rand(len(batch)) < 0.5
    batch = torch.where(flip[:, None, None, None], batch.flip(3), batch)
    dy, dx = torch.randint(0, 7, (2,)).tolist()
    return F.pad(batch, (3, 3, 3, 3), mode="reflect")[:, :, dy : dy + SIDE, dx : dx + SIDE]


def scaled(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float() / 127.5 - 1


@torch.no_grad()
def class_tokens(vit: ViTModel, pictures: torch.Tensor) -> torch.Tensor:
    vit.eval()
    return torch.cat([vit(scaled(b)).last_hidden_state[:, 0] for b in pictures.split(500)])


def neighbour_accuracy(vit: ViTModel, known: tuple, asked: tuple, k: int = 10) -> float:
    """Share of right votes of the k nearest class tokens by cosine."""
    a, b = (F.normalize(class_tokens(vit, p), dim=1) for p, _ in (known, asked))
    near = (b @ a.T).topk(k, dim=1)
    votes = torch.zeros(len(b), 10).scatter_add_(1, known[1][near.indices], (near.values / 0.1).exp())
    return (votes.argmax(1) == asked[1]).float().mean().item()


def train(pictures: torch.Tensor, labels: torch.Tensor, epochs: int, out: Path) -> ViTModel:
    torch.manual_seed(1)
    teacher = teacher_features(pictures)
    print("teacher's features are there", flush=True)
    vit = ViTModel(CONFIG, add_pooling_layer=False)
    heads = torch.nn.ModuleDict({"labels": torch.nn.Linear(CONFIG.hidden_size, 10), "features": torch.nn.Linear(CONFIG.hidden_size, 1280)})
    parameters = [*vit.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)
    per_epoch = len(pictures) // 128
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * per_epoch)
    for epoch in range(epochs):
        vit.train()
        began, total = time.time(), 0.0
        order = torch.randperm(len(pictures))
        for step in range(per_epoch):
            batch = order[step * 128 : (step + 1) * 128]
            token = vit(scaled(augmented(pictures[batch]))).last_hidden_state[:, 0]
            cosine = F.cosine_similarity(heads["features"](token), teacher[batch]).mean()
            loss = 2 * (1 - cosine) + F.cross_entropy(heads["labels"](token), labels[batch], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / per_epoch:.3f}, {time.time() - began:.0f} s", flush=True)
        torch.save(vit.state_dict(), out)
    return vit


def export(vit: ViTModel) -> dict:
    """Writes the folder in half precision under the names of transformers' own files and returns its manifest row."""
    # `save_pretrained` maps the run-time names back to those that files have.
    saved = ROOT / ".cache" / "pretrain" / NAME
    vit.half().save_pretrained(saved)
    config = {**CONFIG.to_dict(), "architectures": ["ViTForImageClassification"]}
    kept = ("model_type", "architectures", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
            "image_size", "patch_size", "layer_norm_eps", "hidden_act", "num_channels", "qkv_bias")  # fmt: skip
    row = write_backbone(
        NAME,
        {f"vit.{name}": value for name, value in load_file(saved / "model.safetensors").items()},
        {key: config[key] for key in kept if key in config} | {"model_type": "vit"},
        PREPROCESSOR,
        title="Graft-ViT",
        description="Small Vision Transformer for 32-pixel pictures, distilled here from EfficientNet-Lite0; 0.2 million parameters.",
        source=Source("CIFAR-10 photographs", "2009", "", "", kind="pretrained by tools/pretrain/graft_vit.py"),
        licence="Apache-2.0",
        script="tools/pretrain/graft_vit.py",
    )
    write_graph(WEIGHTS / NAME)
    return with_files(row)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--photos", type=Path, required=True)
    options.add_argument("--test", type=Path, help="a folder with train/ and test/ for the neighbour vote")
    options.add_argument("--epochs", type=int, default=12)
    options.add_argument("--each", type=int, default=2500, help="photographs of each class")
    options.add_argument("--from-state", type=Path, help="export a saved state instead of training")
    asked = options.parse_args()
    state = ROOT / ".cache" / "pretrain" / f"{NAME}.pt"
    state.parent.mkdir(parents=True, exist_ok=True)
    if asked.from_state:
        vit = ViTModel(CONFIG, add_pooling_layer=False)
        vit.load_state_dict(torch.load(asked.from_state, weights_only=True))
    else:
        vit = train(*read_photos(asked.photos, asked.each), asked.epochs, state)
    if asked.test:
        known, tested = (read_photos(asked.test / split) for split in ("train", "test"))
        print(f"neighbour vote: {100 * neighbour_accuracy(vit, known, tested):.1f} %")
    row = export(vit)
    manifest = json.loads((WEIGHTS / "manifest.json").read_text())
    manifest["backbones"] = [b for b in manifest["backbones"] if b["name"] != NAME] + [row]
    write_json(WEIGHTS / "manifest.json", manifest)
    print(f"{row['bytes']} bytes")


if __name__ == "__main__":
    main()
