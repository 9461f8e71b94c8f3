"""PyTorch and PEFT on the models of the benchmark: `python3 peft_side.py FOLDER`.

Reads FOLDER/request.json and the weights that bench.ts wrote beside it, trains each model eagerly in f32 and under AMP,
and writes FOLDER/answer.json. Runs on CUDA where there is one, else on the processor.
"""

import json
import sys
import time
from pathlib import Path

import peft
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import nn


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        d, m = s["dim"], s["mlp"]
        self.heads, self.pre = s["heads"], s["preNorm"]
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.up, self.down = nn.Linear(d, m), nn.Linear(m, d)
        self.norm1, self.norm2 = nn.LayerNorm(d, 1e-5), nn.LayerNorm(d, 1e-5)

    def attend(self, x):
        b, t, d = x.shape
        q, k, v = (f(x).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.o(y.transpose(1, 2).reshape(b, t, d))

    def forward(self, x):
        if self.pre:
            x = x + self.attend(self.norm1(x))
            return x + self.down(F.gelu(self.up(self.norm2(x))))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.patch = bool(s["patch"])
        if self.patch:
            self.embed = nn.Linear(s["patch"], s["dim"])
            self.cls = nn.Parameter(torch.zeros(1, 1, s["dim"]))
            self.pos = nn.Parameter(torch.zeros(1, s["tokens"], s["dim"]))
        self.norm = nn.LayerNorm(s["dim"], 1e-5)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s["depth"]))
        self.head = nn.Linear(s["dim"], s["classes"])

    def forward(self, x):
        if self.patch:
            h = torch.cat([self.cls.expand(len(x), -1, -1), self.embed(x)], 1) + self.pos
        else:
            h = self.norm(x)
        for block in self.blocks:
            h = block(h)
        first = h[:, 0]
        return self.head(self.norm(first) if self.patch else first)


def adapted(spec, weights, device):
    """The encoder with our frozen weights, our head and our adapters' first values."""
    model = Encoder(spec)
    frozen = {k: v for k, v in weights.items() if not k.endswith((".a", ".b"))}
    names = {k: (f"blocks.{k}" if k[0].isdigit() else k) for k in frozen}
    missing, unexpected = model.load_state_dict({names[k]: v for k, v in frozen.items()}, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    blocks = range(spec["adaptedFrom"], spec["depth"])
    config = LoraConfig(
        r=spec["rank"],
        lora_alpha=spec["scale"] * spec["rank"],
        lora_dropout=0,
        target_modules=[f"blocks.{i}.{n}" for i in blocks for n in ("q", "v")],
        modules_to_save=["head"],
    )
    model = get_peft_model(model, config)
    state = dict(model.named_parameters())
    for i in blocks:
        for n in ("q", "v"):
            for ours, theirs in (("a", "lora_A"), ("b", "lora_B")):
                at = f"base_model.model.blocks.{i}.{n}.{theirs}.default.weight"
                with torch.no_grad():
                    state[at].copy_(weights[f"{i}.{n}.{ours}"])
    return model.to(device)


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


class Trainer:
    def __init__(self, spec, weights, optimiser, device, amp):
        self.model = adapted(spec, weights, device)
        leaves = [p for p in self.model.parameters() if p.requires_grad]
        self.adamw = torch.optim.AdamW(leaves, lr=optimiser["lr"], weight_decay=optimiser["decay"])
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp)
        self.device, self.amp = device, amp

    def step(self, x, labels):
        with torch.autocast(self.device.type, torch.float16, enabled=self.amp):
            loss = F.cross_entropy(self.model(x), labels)
        self.adamw.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.adamw)
        self.scaler.update()
        return loss.detach()


def batch_of(job, tensors, device):
    return tensors["x"].to(device), tensors["labels"].to(device).long()


def time_steps(job, folder, device, amp):
    weights = load_file(folder / job["weights"])
    tensors = load_file(folder / job["batch"])
    trainer = Trainer(job["spec"], weights, job["optimiser"], device, amp)
    x, labels = batch_of(job, tensors, device)
    losses = [trainer.step(x, labels).item() for _ in range(job["warm"])]
    rounds = []
    for _ in range(job["rounds"]):
        wait(device)
        start = time.perf_counter()
        for _ in range(job["steps"]):
            trainer.step(x, labels)
        wait(device)
        rounds.append(1000 * (time.perf_counter() - start) / job["steps"])
    return {"ms": sorted(rounds)[len(rounds) // 2], "losses": losses}


def time_epochs(job, folder, device):
    weights = load_file(folder / job["weights"])
    tensors = load_file(folder / job["batch"])
    trainer = Trainer(job["spec"], weights, job["optimiser"], device, False)
    x, labels = batch_of(job, tensors, device)
    # Other batches of the same values in another order of samples: the work is the same.
    batches = [(x.roll(i, 0), labels.roll(i, 0)) for i in range(job["batches"])]
    trainer.step(*batches[0])
    wait(device)
    start = time.perf_counter()
    for _ in range(job["epochs"]):
        for b in batches:
            trainer.step(*b)
    wait(device)
    return {"seconds": time.perf_counter() - start}


def main():
    folder = Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Eager f32 as PyTorch comes: TF32 stays off, as is its default for products.
    answer = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "the processor",
        "torch": torch.__version__,
        "peft": peft.__version__,
        "steps": [],
        "epochs": [],
    }
    for job in request["steps"]:
        f32 = time_steps(job, folder, device, False)
        # AMP in half precision is CUDA's; on the processor it says nothing.
        amp = time_steps(job, folder, device, True) if device.type == "cuda" else None
        answer["steps"].append({"f32": f32, "amp": amp})
    for job in request["epochs"]:
        answer["epochs"].append(time_epochs(job, folder, device))
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
