"""Twenty steps of LoRA on a tiny BERT in PEFT, from a table of texts: tokenizer, start, losses, end."""

import csv
import os

import torch
import transformers as hf
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from common import FIXTURES, ROOT, generator, write_json, write_tensors
from peft_lora import save_adapter

FOLDER = FIXTURES / "peft-bert-lora"
BACKBONE = FIXTURES / "bert-words-tiny"
CLASSES = ("animals", "kitchen", "weather")
LENGTH, BATCH, STEPS = 16, 8, 20
SETTINGS = {
    "method": "lora", "r": 4, "lora_alpha": 8, "target_modules": ["query", "value"], "lora_dropout": 0.0, "lr": 1e-3,
    "schedule": "constant", "weight_decay": 0.01, "clip": 0, "batch": BATCH, "steps": STEPS, "max_length": LENGTH,
}
SUBJECTS = {
    "animals": ("The cat", "A grey heron", "Our old dog", "That tiny mouse", "One fox"),
    "kitchen": ("The kettle", "A copper pan", "Our oven", "That blunt knife", "One spoon"),
    "weather": ("The storm", "A cold wind", "Our first snow", "That long rain", "One cloud"),
}
VERBS = {
    "animals": ("sleeps near the barn", "runs after birds", "hides in tall grass, again"),
    "kitchen": ("whistles on the stove", "needs a good wash", "is hot; don't touch it!"),
    "weather": ("came from the west", "lasted until noon", "passed over the hills"),
}


def rows() -> list[tuple[str, str]]:
    """Forty texts with their class, the classes mixed."""
    source = generator(5)
    found = []
    for i in range(40):
        name = CLASSES[torch.randint(3, (1,), generator=source).item()]
        subject = SUBJECTS[name][torch.randint(5, (1,), generator=source).item()]
        verb = VERBS[name][torch.randint(3, (1,), generator=source).item()]
        found.append((f"{subject} {verb}{'.' if i % 3 else ' every day, they say, and nobody knows why.'}", name))
    return found


def write_backbone(texts: list[str]) -> None:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        sorted(texts), trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = hf.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=160,
        max_position_embeddings=32, id2label=dict(enumerate(CLASSES)), label2id={n: i for i, n in enumerate(CLASSES)},
    )
    torch.manual_seed(3)
    model = hf.BertForSequenceClassification(config).eval()
    source = generator(4)
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(value + 0.2 * torch.randn(value.shape, generator=source) * (1 if value.dim() > 1 else 0.3))
    model.save_pretrained(BACKBONE)
    (BACKBONE / "model.safetensors").chmod(0o644)
    (BACKBONE / "tokenizer.json").write_text(tokenizer.to_str())
    names = {f"{key}_token": token for key, token in zip(("pad", "unk", "cls", "sep", "mask"), special)}
    write_json(BACKBONE / "tokenizer_config.json", {**names, "tokenizer_class": "BertTokenizerFast", "model_max_length": 32})


def inputs(texts: list[str]) -> dict[str, torch.Tensor]:
    tokenizer = hf.AutoTokenizer.from_pretrained(BACKBONE)
    return dict(tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"))


def base() -> hf.BertForSequenceClassification:
    # PEFT writes this into the adapter: the folder as seen from the repository's root.
    return hf.BertForSequenceClassification.from_pretrained(BACKBONE.relative_to(ROOT)).eval()


def write_start() -> None:
    adapter = get_peft_model(
        base(),
        LoraConfig(
            r=4, lora_alpha=8, lora_dropout=0.0, target_modules=SETTINGS["target_modules"], modules_to_save=["classifier"]
        ),
    )
    source = generator(77)
    with torch.no_grad():
        for name, value in adapter.named_parameters():
            if "lora_" in name:
                value.copy_(torch.randn(value.shape, generator=source) * 0.15)
    save_adapter(adapter, FOLDER / "init")


def write() -> None:
    os.chdir(ROOT)
    found = rows()
    texts, labels = [t for t, _ in found], torch.tensor([CLASSES.index(name) for _, name in found])
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "texts.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *found])
    write_backbone(texts)
    write_start()
    batch = inputs(texts)
    adapter = PeftModel.from_pretrained(base(), FOLDER / "init", is_trainable=True)
    adapter.eval()
    leaves = [p for p in adapter.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(leaves, lr=SETTINGS["lr"], weight_decay=SETTINGS["weight_decay"])
    with torch.no_grad():
        own = base()(**batch).logits
        mean = base().bert(**batch).last_hidden_state * batch["attention_mask"][..., None]
        mean = mean.sum(1) / batch["attention_mask"].sum(1, keepdim=True)
        first = adapter(**batch).logits
    losses, norms = [], []
    for step in range(STEPS):
        at = torch.arange(step * BATCH, (step + 1) * BATCH) % len(labels)
        logits = adapter(**{name: value[at] for name, value in batch.items()}).logits
        loss = torch.nn.functional.cross_entropy(logits, labels[at])
        optimiser.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(leaves, float("inf")))
        optimiser.step()
        losses.append(loss.detach())
    with torch.no_grad():
        last = adapter(**batch).logits
    save_adapter(adapter, FOLDER / "final")
    write_tensors(
        FOLDER / "expected.safetensors",
        {
            "input_ids": batch["input_ids"].int(), "own_logits": own, "mean": mean, "initial_logits": first,
            "final_logits": last, "losses": torch.stack(losses), "grad_norms": torch.stack(norms),
        },
    )
    write_json(FOLDER / "settings.json", {**SETTINGS, "backbone": "bert-words-tiny", "classes": list(CLASSES)})
    print(f"peft-bert-lora: loss {losses[0]:.4f} to {losses[-1]:.4f} in {len(losses)} steps")


if __name__ == "__main__":
    write()
