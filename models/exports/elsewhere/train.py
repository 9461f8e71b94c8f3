"""Repeats a run of Graft with PEFT: the same base, starting adapter, samples, batches and learning rates.

    python train.py                          one process
    accelerate launch train.py               as many as `accelerate config` says
    python train_ray.py --workers 2          with Ray Train

It writes adapter/ (PEFT's own files, which the studio opens by drop) and log.jsonl (step, loss, lr).
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from peft import PeftModel

HERE = Path(__file__).resolve().parent


def read(name: str):
    return json.loads((HERE / name).read_text())


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def open_base(run: dict, base: str):
    """The frozen model with a new head, and its processor or tokenizer."""
    count = len(run["labels"])
    if run["library"] == "timm":
        import timm
        from transformers import AutoImageProcessor

        # The studio's file has no head; the starting adapter brings it.
        return timm.create_model(f"local-dir:{base}", pretrained=True, num_classes=count), AutoImageProcessor.from_pretrained(
            HERE / "start", backend="pil"
        )
    import transformers

    kind = getattr(transformers, run["class"])
    head = {"num_labels": count, "ignore_mismatched_sizes": True} if count else {}
    model = kind.from_pretrained(base, **head).float()
    if run["data"] == "pictures":
        return model, transformers.AutoImageProcessor.from_pretrained(HERE / "start", backend="pil")
    return model, transformers.AutoTokenizer.from_pretrained(base) if run["data"] == "texts" else None


def picture(row: dict, folder: Path) -> "Image.Image":
    from PIL import Image, ImageOps

    path = folder / row["path"]
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise SystemExit(f"{path} is not the picture that the run saw: its SHA-256 differs.")
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


class Samples:
    """What a step's samples are as tensors, by their place in data.jsonl."""

    def __init__(self, run: dict, processor, folder: Path):
        self.run, self.processor, self.folder, self.rows, self.kept = run, processor, folder, rows("data.jsonl"), {}

    def inputs(self, at: list[int]) -> dict[str, torch.Tensor]:
        length = self.run["length"]
        if self.run["data"] == "pictures":
            for i in at:
                if i not in self.kept:
                    image = picture(self.rows[i], self.folder)
                    self.kept[i] = self.processor(image, return_tensors="pt")["pixel_values"][0]
            return {"pixel_values": torch.stack([self.kept[i] for i in at])}
        chosen = [self.rows[i] for i in at]
        if self.run["data"] == "texts":
            pairs = [r["pair"] for r in chosen] if "pair" in chosen[0] else None
            return dict(
                self.processor([r["text"] for r in chosen], pairs, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
            )
        padded = lambda name: torch.tensor([r[name] + [0] * (length - len(r[name])) for r in chosen])
        found = {"input_ids": padded("ids"), "attention_mask": torch.tensor([[1] * len(r["ids"]) + [0] * (length - len(r["ids"])) for r in chosen])}
        if "decoder" in chosen[0]:
            found["decoder_input_ids"] = padded("decoder")
        return found

    def loss(self, logits: torch.Tensor, at: list[int], whole: list[int]) -> torch.Tensor:
        """Sum of the losses of `at` over what the loss of the whole step is a mean of."""
        if self.run["data"] != "tokens":
            labels = torch.tensor([self.rows[i]["label"] for i in at], device=logits.device)
            return F.cross_entropy(logits, labels, reduction="sum", label_smoothing=self.run["label_smoothing"]) / len(whole)
        length = logits.shape[1]
        padded = lambda name: torch.tensor([self.rows[i][name] + [0] * (length - len(self.rows[i][name])) for i in at], device=logits.device)
        each = F.cross_entropy(
            logits.flatten(0, 1), padded("targets").flatten(), reduction="none", label_smoothing=self.run["label_smoothing"]
        )
        return (each * padded("counted").flatten()).sum() / sum(sum(self.rows[i]["counted"]) for i in whole)


def train(base: str | None = None, data: str | None = None, out: str | None = None) -> None:
    run = read("run.json")
    accelerator = Accelerator()
    base = base or (str(HERE / "base") if (HERE / "base").exists() else run["hub_id"])
    if base is None:
        raise SystemExit("Name the folder of the base model with --base: it is on no hub and did not come along.")
    model, processor = open_base(run, base)
    # Dropout of the base is off, as it is in the studio; the adapter's own is on where it has any.
    model = PeftModel.from_pretrained(model, HERE / "start", is_trainable=True)
    model.eval()
    for name, module in model.named_modules():
        if "lora_dropout" in name:
            module.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    if run["optimizer"] == "sgd":
        optimiser = torch.optim.SGD(trained, lr=1.0, momentum=0.9, weight_decay=run["weight_decay"])
    else:
        optimiser = torch.optim.AdamW(trained, lr=1.0, weight_decay=run["weight_decay"])
    torch.manual_seed(run["seed"])
    model, optimiser = accelerator.prepare(model, optimiser)
    samples = Samples(run, processor, Path(data or HERE / "data"))
    folder = Path(out) if out else HERE
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "log.jsonl").open("w") if accelerator.is_main_process else None
    for step in rows("steps.jsonl"):
        whole = step["samples"]
        own = whole[accelerator.process_index :: accelerator.num_processes]
        if not own:
            raise SystemExit(f"{accelerator.num_processes} processes share a step of {len(whole)} samples; start no more than that.")
        inputs = {name: value.to(accelerator.device) for name, value in samples.inputs(own).items()}
        if run["interpolate_positions"]:
            inputs["interpolate_pos_encoding"] = True
        logits = model(inputs["pixel_values"]) if run["library"] == "timm" else model(**inputs).logits
        loss = samples.loss(logits, own, whole)
        for group in optimiser.param_groups:
            group["lr"] = step["lr"]
        optimiser.zero_grad()
        # Processes average their gradients; the loss is a sum of their parts.
        accelerator.backward(loss * accelerator.num_processes)
        if run["clip"]:
            accelerator.clip_grad_norm_(trained, run["clip"])
        optimiser.step()
        total = accelerator.reduce(loss.detach(), "sum").item()
        if log:
            log.write(json.dumps({"step": step["step"], "loss": total, "lr": step["lr"]}) + "\n")
            log.flush()
            if step["step"] % 10 == 0:
                print(f"step {step['step']}: loss {total:.4f}", flush=True)
    accelerator.wait_for_everyone()
    if log:
        accelerator.unwrap_model(model).save_pretrained(folder / "adapter")
        for name in ("labels.json", "preprocessor_config.json"):
            if (HERE / "start" / name).exists():
                (folder / "adapter" / name).write_text((HERE / "start" / name).read_text())
        print(f"wrote {folder / 'adapter'}", flush=True)
    accelerator.end_training()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--base", help="folder or hub id of the base model")
    options.add_argument("--data", help="folder of the data set; its files are checked by their SHA-256")
    options.add_argument("--out", help="folder of the result, this one by default")
    asked = options.parse_args()
    train(asked.base, asked.data, asked.out)


if __name__ == "__main__":
    main()
