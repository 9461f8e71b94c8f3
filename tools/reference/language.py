"""Steps of LoRA in PEFT on tasks that answer every token: the next token, hidden tokens, a class of each word."""

from dataclasses import dataclass

import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
import transformers as hf

from common import FIXTURES, generator, write_tensors

SAMPLES, LENGTH, VOCABULARY, TAGS, BATCH, STEPS = 12, 12, 61, 5, 4, 9


@dataclass
class Case:
    name: str
    folder: str
    model: type
    targets: list[str]
    task: str


CASES = [
    Case("causal-lm", "llama-tiny", hf.LlamaForCausalLM, ["q_proj", "v_proj"], "CAUSAL_LM"),
    Case("masked-lm", "bert-tiny", hf.BertForMaskedLM, ["query", "value"], None),
    Case("token-classification", "bert-tiny", hf.BertForTokenClassification, ["query", "value"], "TOKEN_CLS"),
    Case("answering", "t5-tiny", hf.T5ForConditionalGeneration, ["q", "v"], "SEQ_2_SEQ_LM"),
]


def texts(case: Case, draw: torch.Generator) -> dict[str, torch.Tensor]:
    """Random tokens with random lengths; what each place should say, and where that counts."""
    lengths = torch.randint(5, LENGTH + 1, (SAMPLES,), generator=draw)
    mask = (torch.arange(LENGTH) < lengths[:, None]).float()
    ids = torch.randint(3, VOCABULARY, (SAMPLES, LENGTH), generator=draw) * mask.long()
    choices = TAGS if case.name == "token-classification" else VOCABULARY
    targets = torch.randint(0, choices, (SAMPLES, LENGTH), generator=draw)
    if case.name == "causal-lm":
        # The next token; the last place of a text has none.
        targets = torch.cat([ids[:, 1:], torch.zeros(SAMPLES, 1, dtype=torch.long)], 1)
        said = torch.cat([mask[:, 1:], torch.zeros(SAMPLES, 1)], 1)
    else:
        said = mask
    counted = said * (torch.rand(SAMPLES, LENGTH, generator=draw) < 0.7)
    counted[:, 0] = 1
    found = {"ids": ids, "mask": mask, "targets": targets, "counted": counted}
    if case.name == "answering":
        # T5 begins with its padding token, and reads what it has said.
        found["decoder_ids"] = torch.cat([torch.zeros(SAMPLES, 1, dtype=torch.long), targets[:, :-1]], 1)
    return found


def logits_of(model, case: Case, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    read = {"input_ids": batch["ids"], "attention_mask": batch["mask"].long()}
    if "decoder_ids" in batch:
        read["decoder_input_ids"] = batch["decoder_ids"]
    return model(**read).logits


def make(case: Case, seed: int) -> None:
    draw = generator(seed)
    torch.manual_seed(1)
    more = {"num_labels": TAGS} if case.task == "TOKEN_CLS" else {}
    base = case.model.from_pretrained(FIXTURES / case.folder, ignore_mismatched_sizes=True, **more).float()
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=case.targets, task_type=case.task))
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for value in trained.values():
        value.data = 0.3 * torch.randn(value.shape, generator=draw)
    start = {f"start.{n}": v.clone() for n, v in get_peft_model_state_dict(model).items()}
    data = texts(case, draw)
    optimiser = torch.optim.AdamW(trained.values(), lr=1e-2, weight_decay=0.01)
    model.eval()
    losses = []
    for step in range(STEPS):
        at = [(step * BATCH + i) % SAMPLES for i in range(BATCH)]
        batch = {name: value[at] for name, value in data.items()}
        logits = logits_of(model, case, batch)
        # As transformers' models count: the mean over all tokens that are not left out.
        labels = torch.where(batch["counted"] > 0, batch["targets"], -100)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        logits = logits_of(model, case, data)
        labels = torch.where(data["counted"] > 0, data["targets"], -100)
        final = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        right = (logits.argmax(-1) == labels).sum().float()
    print(f"{case.name}: loss {losses[0]:.4f} to {losses[-1]:.4f}, {final.item():.4f} over all")
    kinds = {"ids": torch.int32, "targets": torch.int32, "decoder_ids": torch.int32}
    write_tensors(
        FIXTURES / "language" / f"{case.name}.safetensors",
        {
            **start,
            **{n: v.to(kinds.get(n, torch.float32)) for n, v in data.items()},
            "losses": torch.tensor(losses),
            "final_loss": final.reshape(1),
            "final_right": right.reshape(1),
        },
    )


def write() -> None:
    for seed, case in enumerate(CASES):
        make(case, seed)


if __name__ == "__main__":
    write()
