"""Graft-DiT: a small class-conditional diffusion transformer for 32-pixel emoji, in pixels and in colour.

`python tools/pretrain/graft_dit.py train --steps 12000` trains and keeps `.cache/pretrain/graft-dit.pt` every few
minutes; the same command goes on from there. `sheet` draws samples, `export` measures and writes models/weights/graft-dit.

v-prediction on the cosine schedule (Salimans & Ho 2022; Nichol & Dhariwal 2021). One label in ten becomes the null class,
whose number is the number of classes, as in DiT (Peebles & Xie 2023).
"""

import argparse
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DiTTransformer2DModel
from PIL import Image
from safetensors.torch import save_file

from emoji import CACHE, CLASSES, MIRRORED, PACKAGE, ROOT, SHA256, SIDE, VERSION, Emoji, load

NAME = "graft-dit"
STATE = CACHE / f"{NAME}.pt"
NULL = len(CLASSES)
SEED = 1
BATCH = 32
DROPPED_LABELS = 0.1
EMA = 0.999
SAVE_SECONDS = 180
MODEL = {
    "num_attention_heads": 4,
    "attention_head_dim": 32,
    "in_channels": 3,
    "out_channels": 3,
    "num_layers": 6,
    "sample_size": SIDE,
    "patch_size": 4,
    "activation_fn": "gelu-approximate",
    "num_embeds_ada_norm": NULL,
}
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "timestep_spacing": "trailing",
    "set_alpha_to_one": True,
}


def new_model() -> DiTTransformer2DModel:
    """The network at its start. Every block begins as the identity and the output as zero, as DiT does."""
    torch.manual_seed(SEED)
    # `eval` for good: in training mode every block would drop labels of its own.
    model = DiTTransformer2DModel(**MODEL).eval()
    for block in model.transformer_blocks:
        torch.nn.init.zeros_(block.norm1.linear.weight)
        torch.nn.init.zeros_(block.norm1.linear.bias)
    for layer in (model.proj_out_1, model.proj_out_2):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return model


def optimisers(model: DiTTransformer2DModel, kind: str) -> list[torch.optim.Optimizer]:
    """AdamW for all, or Muon for the blocks' matrices (scaled to AdamW's step) and AdamW for the rest."""
    named = list(model.named_parameters())
    hidden = [p for n, p in named if kind == "muon" and p.ndim == 2 and "transformer_blocks" in n and "embedding_table" not in n]
    ids = {id(p) for p in hidden}
    rest = [p for _, p in named if id(p) not in ids]
    made = [torch.optim.AdamW(rest, lr=1.0, weight_decay=0.0, betas=(0.9, 0.99))]
    if hidden:
        made.append(torch.optim.Muon(hidden, lr=1.0, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return made


def learning_rate(step: int, steps: int, peak: float) -> float:
    """200 steps of warm-up, then level, then down to zero over the last third."""
    return peak * min((step + 1) / 200, 1.0, max(0.0, (steps - step) / (steps / 3)))


class Noised:
    """Batches of noised pictures with the velocity to predict, from one seeded generator."""

    def __init__(self, data: Emoji, seed: int) -> None:
        self.data = data
        self.alphas = DDIMScheduler(**SCHEDULER).alphas_cumprod
        self.generator = torch.Generator().manual_seed(seed)
        self.mirrored = torch.tensor(MIRRORED)
        # Rare categories are drawn more often than their number, by the root of it.
        per_class = torch.zeros(NULL).scatter_add_(0, data.labels, data.weights)
        self.chances = data.weights / per_class[data.labels].sqrt()

    def batch(self, count: int) -> tuple[torch.Tensor, ...]:
        """x_t, t, label, velocity."""
        g = self.generator
        index = torch.multinomial(self.chances, count, True, generator=g)
        labels = self.data.labels[index]
        clean = self.data.pictures[index].float() / 127.5 - 1
        flip = (torch.rand(count, generator=g) < 0.5) & self.mirrored[labels]
        clean = torch.where(flip[:, None, None, None], clean.flip(3), clean)
        labels = torch.where(torch.rand(count, generator=g) < DROPPED_LABELS, NULL, labels)
        t = torch.randint(0, SCHEDULER["num_train_timesteps"], (count,), generator=g)
        noise = torch.randn(clean.shape, generator=g)
        a = self.alphas[t].sqrt()[:, None, None, None]
        s = (1 - self.alphas[t]).sqrt()[:, None, None, None]
        return a * clean + s * noise, t, labels, a * noise - s * clean


@torch.no_grad()
def held_out_loss(model: DiTTransformer2DModel, data: Emoji) -> float:
    """Mean squared error of the velocity over 16 fixed batches of the held-out drawings."""
    noised = Noised(data, 7)
    total = 0.0
    for _ in range(16):
        x, t, labels, velocity = noised.batch(BATCH)
        total += F.mse_loss(model(x, timestep=t, class_labels=labels).sample, velocity).item()
    return total / 16


def train(steps: int, kind: str, peak: float, compiled: bool, state_file: Path) -> None:
    data, asked = load()
    model = new_model()
    ema = copy.deepcopy(model).requires_grad_(False)
    optimiser = optimisers(model, kind)
    noised = Noised(data, SEED)
    done, spent, curve = 0, 0.0, []
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
        for one, saved in zip(optimiser, state["optimisers"], strict=True):
            one.load_state_dict(saved)
        noised.generator.set_state(state["generator"])
        done, spent, curve = state["step"], state["seconds"], state["curve"]

    def save() -> None:
        state = {"model": model.state_dict(), "ema": ema.state_dict(), "optimisers": [o.state_dict() for o in optimiser],
                 "generator": noised.generator.get_state(), "step": done, "seconds": spent, "curve": curve}  # fmt: skip
        torch.save(state, state_file.with_suffix(".new"))
        state_file.with_suffix(".new").replace(state_file)

    forward = torch.compile(model) if compiled else model
    total, counted, saved_at = torch.zeros(()), 0, time.time()
    for done in range(done + 1, steps + 1):
        began = time.time()
        x, t, labels, velocity = noised.batch(BATCH)
        loss = F.mse_loss(forward(x, timestep=t, class_labels=labels).sample, velocity)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for one in optimiser:
            for group in one.param_groups:
                group["lr"] = learning_rate(done, steps, peak)
            one.step()
            one.zero_grad()
        kept = min(EMA, (1 + done) / (10 + done))
        torch._foreach_lerp_(list(ema.parameters()), [p.detach() for p in model.parameters()], 1 - kept)
        total += loss.detach()
        counted += 1
        spent += time.time() - began
        if done % 100 == 0 or done == steps:
            row = {"step": done, "train": round(total.item() / counted, 5), "seconds": round(spent, 1)}
            if done % 500 == 0 or done == steps:
                row["heldOut"] = round(held_out_loss(ema, asked), 5)
            curve.append(row)
            total, counted = torch.zeros(()), 0
            print(json.dumps(row), flush=True)
        if time.time() - saved_at > SAVE_SECONDS or done == steps:
            save()
            saved_at = time.time()


@torch.no_grad()
def sample(model: DiTTransformer2DModel, labels: torch.Tensor, scale: float, steps: int, seed: int) -> torch.Tensor:
    """Pictures [n, 3, 32, 32] in -1..1 by DDIM with classifier-free guidance."""
    scheduler = DDIMScheduler(**SCHEDULER)
    scheduler.set_timesteps(steps)
    x = torch.randn((len(labels), 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed))
    both = torch.cat([labels, torch.full_like(labels, NULL)])
    for t in scheduler.timesteps:
        if scale == 1:
            v = model(x, timestep=t.expand(len(x)), class_labels=labels).sample
        else:
            conditional, free = model(torch.cat([x, x]), timestep=t.expand(2 * len(x)), class_labels=both).sample.chunk(2)
            v = free + scale * (conditional - free)
        x = scheduler.step(v, t, x).prev_sample
    return x.clamp(-1, 1)


def sheet(pictures: torch.Tensor, columns: int, path: Path, zoom: int = 3) -> None:
    """Writes the pictures in rows of `columns`."""
    pixels = ((pictures + 1) * 127.5).round().to(torch.uint8)
    rows = [torch.cat(list(row), dim=2) for row in pixels.split(columns)]
    picture = Image.fromarray(torch.cat(rows, dim=1).permute(1, 2, 0).numpy())
    picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST).save(path)


def measured(model: DiTTransformer2DModel, count: int) -> dict:
    """KID and class accuracy of samples whose classes are those of held-out drawings, at several scales of guidance."""
    # Only the export needs timm.
    from quality import features, kernel_distance, probe, saturation

    data, asked = load()
    # One drawing of each kind: skin tones would count a few of them many times.
    data, asked = (d.take(np.array([i == 0 or n != d.names[i - 1] for i, n in enumerate(d.names)])) for d in (data, asked))
    known, real = features(data.pictures), features(asked.pictures)
    judge = probe(known, data.labels, NULL)
    accuracy = lambda found, labels: round((judge(found).argmax(1) == labels).float().mean().item(), 3)  # noqa: E731
    floor = kernel_distance(known, real) | {"accuracy": accuracy(real, asked.labels), "saturation": round(saturation(asked.pictures), 3)}
    print(json.dumps(floor), flush=True)
    labels = asked.labels[torch.randperm(len(asked.labels), generator=torch.Generator().manual_seed(SEED))].repeat(4)[:count]
    rows = []
    for scale in (1.0, 2.0, 4.0):
        drawn = ((sample(model, labels, scale, 25, SEED) + 1) * 127.5).round().to(torch.uint8)
        found = features(drawn)
        rows.append({"scale": scale, **kernel_distance(found, real), "accuracy": accuracy(found, labels), "saturation": round(saturation(drawn), 3)})
        print(json.dumps(rows[-1]), flush=True)
    return {"features": "EfficientNet-Lite0, pooled, at 96 px", "sampler": "DDIM, 25 steps", "drawingsAgainstHeldOut": floor, "samplesAgainstHeldOut": rows}


def export(state_file: Path, count: int) -> None:
    """Writes models/weights/graft-dit: EMA weights in half precision under diffusers' names, the curve and the figures."""
    state = torch.load(state_file, weights_only=True)
    model = new_model()
    # What ships is what is measured: weights as half precision leaves them.
    model.load_state_dict({name: value.half().float() for name, value in state["ema"].items()})
    folder = ROOT / "models" / "weights" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    stored = {name: value.half().contiguous() for name, value in state["ema"].items()}
    save_file(stored, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (folder / "diffusion_pytorch_model.safetensors").chmod(0o644)
    names = {str(i): name for i, name in enumerate(CLASSES)}
    write(folder / "config.json", {"_class_name": "DiTTransformer2DModel", "_diffusers_version": "0.42.1", **MODEL, "id2label": names})
    write(folder / "scheduler_config.json", {"_class_name": "DDIMScheduler", "_diffusers_version": "0.42.1", **SCHEDULER})
    sheet(sample(model, torch.arange(NULL).repeat_interleave(10), 3.0, 25, SEED), 10, CACHE / f"{NAME}.png")
    training = {"script": f"tools/pretrain/{NAME.replace('-', '_')}.py", "seed": SEED, "batch": BATCH, "steps": state["step"],
                "seconds": round(state["seconds"]), "parameters": sum(v.numel() for v in stored.values()),
                "data": {"package": f"npm {PACKAGE}", "version": VERSION, "sha256": SHA256},
                "quality": measured(model, count), "curve": state["curve"]}  # fmt: skip
    write(folder / "training.json", training)


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def main() -> None:
    options = argparse.ArgumentParser()
    commands = options.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--steps", type=int, default=12000)
    training.add_argument("--optimiser", choices=("adamw", "muon"), default="muon")
    training.add_argument("--peak", type=float, default=1.5e-3, help="learning rate")
    training.add_argument("--eager", action="store_true", help="without torch.compile")
    drawing = commands.add_parser("sheet")
    drawing.add_argument("--scale", type=float, default=2.0)
    drawing.add_argument("--out", type=Path, required=True)
    exporting = commands.add_parser("export")
    exporting.add_argument("--count", type=int, default=512, help="samples for each scale of guidance")
    for one in (training, drawing, exporting):
        one.add_argument("--state", type=Path, default=STATE)
    asked = options.parse_args()
    if asked.command == "train":
        train(asked.steps, asked.optimiser, asked.peak, not asked.eager, asked.state)
    elif asked.command == "export":
        export(asked.state, asked.count)
    else:
        model = new_model()
        model.load_state_dict(torch.load(asked.state, weights_only=True)["ema"])
        labels = torch.arange(NULL).repeat_interleave(10)
        sheet(sample(model, labels, asked.scale, 25, 1), 10, asked.out)


if __name__ == "__main__":
    main()
