"""Tiny random text checkpoints: each folder holds the classifier and the language model over one base, and what PyTorch computes."""

import copy
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
import transformers as hf

from common import FIXTURES, generator, write_json, write_tensors

LABELS = 3
LARGEST = 200_000


@dataclass
class Case:
    name: str
    config: hf.PreTrainedConfig
    classifier: type
    language: type
    # Modules that the LoRA adapts, as suffixes.
    targets: list[str]
    # Tokens of each sample; the longest is the length of the batch.
    lengths: tuple[int, ...] = (9, 4, 6)
    segments: int = 0
    # What the tokens end with, where the classifier reads that one.
    end: int | None = None
    # Saved without what the task class puts before the base's names.
    bare: bool = False
    # The output layer has a matrix of its own.
    untied: bool = False
    # Renamed in the file, as older files have it.
    renamed: dict[str, str] = field(default_factory=dict)


# Families share sizes, so that tests share kernels.
TINY = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, vocab_size=61)
ODD = dict(hidden_size=20, num_hidden_layers=1, num_attention_heads=5, intermediate_size=31, vocab_size=47)


def cases() -> list[Case]:
    return [
        Case(
            "bert-tiny",
            hf.BertConfig(**TINY, max_position_embeddings=20),
            hf.BertForSequenceClassification,
            hf.BertForMaskedLM,
            ["query", "value"],
            segments=2,
        ),
        Case(
            "bert-odd-tiny",
            hf.BertConfig(**ODD, hidden_act="relu", layer_norm_eps=1e-5, type_vocab_size=3, max_position_embeddings=13),
            hf.BertForSequenceClassification,
            hf.BertForMaskedLM,
            ["query", "value", "output.dense", "pooler.dense"],
            lengths=(3, 11),
            segments=3,
            bare=True,
            renamed={"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"},
        ),
        Case(
            "roberta-tiny",
            hf.RobertaConfig(**TINY, type_vocab_size=1, max_position_embeddings=16, layer_norm_eps=1e-5),
            hf.RobertaForSequenceClassification,
            hf.RobertaForMaskedLM,
            ["query", "value"],
        ),
        Case(
            "xlm-roberta-odd-tiny",
            hf.XLMRobertaConfig(**ODD, pad_token_id=3, max_position_embeddings=15, type_vocab_size=1),
            hf.XLMRobertaForSequenceClassification,
            hf.XLMRobertaForMaskedLM,
            ["query", "key", "value", "attention.output.dense", "intermediate.dense"],
            lengths=(1, 11),
            bare=True,
        ),
        Case(
            "distilbert-tiny",
            hf.DistilBertConfig(dim=24, n_layers=2, n_heads=3, hidden_dim=40, vocab_size=61, max_position_embeddings=20),
            hf.DistilBertForSequenceClassification,
            hf.DistilBertForMaskedLM,
            ["q_lin", "v_lin"],
        ),
        Case(
            "distilbert-odd-tiny",
            hf.DistilBertConfig(
                dim=20, n_layers=1, n_heads=5, hidden_dim=31, vocab_size=47, max_position_embeddings=11, activation="relu",
                sinusoidal_pos_embds=True,
            ),
            hf.DistilBertForSequenceClassification,
            hf.DistilBertForMaskedLM,
            ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
            lengths=(11, 3),
            bare=True,
        ),
        Case(
            "gpt2-tiny",
            hf.GPT2Config(n_embd=24, n_layer=2, n_head=3, n_inner=40, vocab_size=61, n_positions=16, pad_token_id=0),
            hf.GPT2ForSequenceClassification,
            hf.GPT2LMHeadModel,
            ["c_attn"],
        ),
        Case(
            "gpt2-odd-tiny",
            hf.GPT2Config(
                n_embd=20,
                n_layer=2,
                n_head=5,
                vocab_size=47,
                n_positions=11,
                pad_token_id=0,
                activation_function="relu",
                scale_attn_by_inverse_layer_idx=True,
            ),
            hf.GPT2ForSequenceClassification,
            hf.GPT2LMHeadModel,
            ["c_attn", "c_fc"],
            lengths=(11, 3),
            bare=True,
            untied=True,
        ),
        Case(
            "llama-tiny",
            hf.LlamaConfig(
                **TINY, num_key_value_heads=1, max_position_embeddings=32, pad_token_id=0, tie_word_embeddings=False
            ),
            hf.LlamaForSequenceClassification,
            hf.LlamaForCausalLM,
            ["q_proj", "v_proj"],
        ),
        Case(
            "llama-odd-tiny",
            hf.LlamaConfig(
                **ODD,
                num_key_value_heads=1,
                max_position_embeddings=64,
                pad_token_id=0,
                tie_word_embeddings=True,
                attention_bias=True,
                mlp_bias=True,
                rope_parameters={
                    "rope_type": "llama3",
                    "rope_theta": 500.0,
                    "factor": 4.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 16,
                },
            ),
            hf.LlamaForSequenceClassification,
            hf.LlamaForCausalLM,
            ["q_proj", "k_proj", "down_proj"],
            lengths=(11, 2),
            bare=True,
        ),
        Case(
            "qwen2-tiny",
            hf.Qwen2Config(
                **TINY,
                num_key_value_heads=1,
                max_position_embeddings=32,
                pad_token_id=0,
                tie_word_embeddings=True,
                rope_parameters={
                    "rope_type": "yarn",
                    "rope_theta": 100.0,
                    "factor": 4.0,
                    "original_max_position_embeddings": 8,
                },
            ),
            hf.Qwen2ForSequenceClassification,
            hf.Qwen2ForCausalLM,
            ["q_proj", "v_proj"],
        ),
        Case(
            "mistral-tiny",
            hf.MistralConfig(
                **{**TINY, "num_attention_heads": 4},
                num_key_value_heads=2,
                head_dim=4,
                max_position_embeddings=32,
                pad_token_id=0,
                sliding_window=12,
                rope_parameters={"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0},
            ),
            hf.MistralForSequenceClassification,
            hf.MistralForCausalLM,
            ["k_proj", "o_proj"],
        ),
        Case(
            "t5-tiny",
            hf.T5Config(
                d_model=24,
                d_kv=8,
                d_ff=40,
                num_layers=2,
                num_heads=3,
                vocab_size=61,
                relative_attention_num_buckets=8,
                relative_attention_max_distance=10,
                decoder_start_token_id=0,
            ),
            hf.T5ForSequenceClassification,
            hf.T5ForConditionalGeneration,
            ["q", "v"],
            end=1,
            bare=True,
        ),
        Case(
            "t5-odd-tiny",
            hf.T5Config(
                d_model=20,
                d_kv=6,
                d_ff=31,
                num_layers=1,
                num_decoder_layers=2,
                num_heads=4,
                vocab_size=47,
                relative_attention_num_buckets=32,
                relative_attention_max_distance=128,
                feed_forward_proj="gated-gelu",
                tie_word_embeddings=False,
                decoder_start_token_id=0,
            ),
            hf.T5ForSequenceClassification,
            hf.T5ForConditionalGeneration,
            ["q", "wo"],
            lengths=(3, 11),
            end=1,
            untied=True,
        ),
        Case(
            "bart-tiny",
            hf.BartConfig(
                d_model=24,
                encoder_layers=2,
                decoder_layers=1,
                encoder_attention_heads=3,
                decoder_attention_heads=3,
                encoder_ffn_dim=40,
                decoder_ffn_dim=40,
                vocab_size=61,
                max_position_embeddings=16,
            ),
            hf.BartForSequenceClassification,
            hf.BartForConditionalGeneration,
            ["q_proj", "v_proj"],
            end=2,
        ),
        Case(
            "bart-odd-tiny",
            hf.BartConfig(
                d_model=20,
                encoder_layers=1,
                decoder_layers=2,
                encoder_attention_heads=5,
                decoder_attention_heads=4,
                encoder_ffn_dim=31,
                decoder_ffn_dim=31,
                vocab_size=47,
                max_position_embeddings=13,
                activation_function="relu",
                scale_embedding=True,
            ),
            hf.BartForSequenceClassification,
            hf.BartForConditionalGeneration,
            ["q_proj", "k_proj", "fc1"],
            lengths=(11, 2),
            end=2,
            bare=True,
        ),
    ]


def randomise(model: nn.Module, source: torch.Generator) -> None:
    """Values that show when one is left out: biases and norms too."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=source)
            if "norm" in name.lower() and name.endswith("weight") or ".ln_" in name and name.endswith("weight"):
                value.copy_(1 + 0.2 * noise)
            elif value.dim() < 2 or "embed" in name or any(word in name for word in ("wte", "wpe", "shared", "position")):
                value.copy_(0.4 * noise)
            else:
                value.copy_(noise * (2 / value.shape[-1]) ** 0.5)


def build(case: Case, seed: int) -> tuple[nn.Module, nn.Module]:
    """Classifier and language model with the same base."""
    source = generator(seed)
    case.config.num_labels = LABELS
    config = copy.deepcopy(case.config)
    config._attn_implementation = "eager"
    classifier, language = case.classifier(copy.deepcopy(config)).eval(), case.language(copy.deepcopy(config)).eval()
    randomise(classifier, source)
    randomise(language, source)
    base = getattr(classifier, classifier.base_model_prefix)
    inner = getattr(language, language.base_model_prefix, language)
    missing, unexpected = inner.load_state_dict(base.state_dict(), strict=False)
    # Only the classifier's base has a pooler; only T5's language model has no module for its base.
    assert all("lm_head" in name for name in missing) and all("pooler" in name for name in unexpected), (missing, unexpected)
    head = language.get_output_embeddings()
    if case.untied:
        head.weight = nn.Parameter(torch.randn(head.weight.shape, generator=source) * 0.3)
    elif not (case.config.tie_word_embeddings is False):
        head.weight = language.get_input_embeddings().weight
    if hasattr(language, "final_logits_bias"):
        language.final_logits_bias.copy_(0.3 * torch.randn(language.final_logits_bias.shape, generator=source))
    return classifier, language


def saved(model: nn.Module) -> dict[str, torch.Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def write_checkpoint(case: Case, folder: Path, classifier: nn.Module, language: nn.Module) -> None:
    prefix = classifier.base_model_prefix + "."
    tensors = saved(classifier)
    bases = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    for name, value in saved(language).items():
        if name.removeprefix(prefix) not in bases:
            tensors[name] = value
    if case.bare:
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    for new, old in case.renamed.items():
        tensors = {name.replace(new, old): value for name, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in sorted(tensors.items())}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    config = classifier.config.to_dict()
    config.pop("transformers_version", None)
    config.pop("_attn_implementation", None)
    config["architectures"] = [type(classifier).__name__]
    if isinstance(classifier.config, hf.T5Config):
        # What the file says of it, before the class makes it always true.
        config["tie_word_embeddings"] = classifier.config.scale_decoder_outputs
    write_json(folder / "config.json", config)


def inputs_of(case: Case, seed: int) -> dict[str, torch.Tensor]:
    source = generator(seed)
    tokens, batch = max(case.lengths), len(case.lengths)
    pad = case.config.pad_token_id
    taken = {pad, case.end}
    free = [i for i in range(case.config.vocab_size) if i not in taken]
    ids = torch.tensor(free)[torch.randint(len(free), (batch, tokens), generator=source)]
    mask = torch.tensor([[1] * n + [0] * (tokens - n) for n in case.lengths])
    for row, n in enumerate(case.lengths):
        if case.end is not None:
            ids[row, n - 1] = case.end
    ids = torch.where(mask == 1, ids, pad)
    found = {"ids": ids, "mask": mask}
    if case.segments:
        found["types"] = torch.randint(case.segments, (batch, tokens), generator=source)
    if case.config.is_encoder_decoder:
        start = torch.full((batch, 1), case.config.decoder_start_token_id)
        found["decoder_ids"] = torch.cat([start, ids[:, :-1]], 1)
    return found


def arguments(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {"ids": "input_ids", "mask": "attention_mask", "types": "token_type_ids", "decoder_ids": "decoder_input_ids"}
    return {names[name]: value for name, value in inputs.items()}


def lora(case: Case, classifier: nn.Module, inputs: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Loss and gradients of a LoRA with given factors, in PEFT."""
    adapter = get_peft_model(
        copy.deepcopy(classifier),
        LoraConfig(r=2, lora_alpha=4, lora_dropout=0.0, target_modules=case.targets, task_type="SEQ_CLS", modules_to_save=[],
                   fan_in_fan_out=case.config.model_type == "gpt2"),
    ).eval()
    source = generator(seed)
    factors = {}
    for name, value in adapter.named_parameters():
        if ".lora_" in name:
            value.data.copy_(torch.randn(value.shape, generator=source) * 0.2)
            factors[name.removeprefix("base_model.model.").replace(".default.", ".")] = value
    labels = (torch.arange(len(case.lengths)) + 1) % LABELS
    loss = nn.functional.cross_entropy(adapter(**arguments(inputs)).logits, labels)
    loss.backward()
    found = {"lora.labels": labels.int(), "lora.loss": loss}
    for name, value in factors.items():
        # The last blocks of some families reach the features by one token alone; all have a gradient.
        found |= {f"lora.{name}": value, f"lora.grad.{name}": value.grad}
    return found


def write() -> None:
    for row, case in enumerate(cases()):
        seed = 1000 + 20 * row
        classifier, language = build(case, seed)
        folder = FIXTURES / case.name
        write_checkpoint(case, folder, classifier, language)
        inputs = inputs_of(case, seed + 1)
        with torch.no_grad():
            language_logits = language(**arguments(inputs)).logits
            expected = {name: value.int() for name, value in inputs.items()}
            expected |= {"logits": classifier(**arguments(inputs)).logits, "language": language_logits}
        write_tensors(folder / "expected.safetensors", expected | lora(case, classifier, inputs, seed + 2))
        size = sum(f.stat().st_size for f in folder.iterdir())
        print(f"{case.name}: {size / 1000:.0f} kB, logits to {expected['logits'].abs().max():.2f}, {language_logits.abs().max():.2f}")
        if size > LARGEST:
            raise ValueError(f"{case.name} takes {size} bytes; make it smaller.")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write()
