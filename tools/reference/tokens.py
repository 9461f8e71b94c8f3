"""Tokens of generated multilingual lines: `fixtures/tokens/`. The same lines are drawn in TypeScript (models/data/text/testing.ts).

Three tokenizers: MiniLM's WordPiece, which is committed with its weights, and two trained here on the first lines, a
byte-level BPE in GPT-2's form and a Unigram in T5's. For each, `expected.json` has one 32-bit FNV-1a hash for a line.
"""

import base64
import json
import struct

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from common import FIXTURES, WEIGHTS, write_json

FOLDER = FIXTURES / "tokens"
LINES = 10_000
TRAINED_ON = 3_000
LENGTH = 48
MASK = 0xFFFFFFFF

# First and last code points; a gap in a script may be drawn too.
RANGES = [
    (0x21, 0x7E), (0xA1, 0xFF), (0x100, 0x17F), (0x180, 0x24F), (0x250, 0x2AF), (0x300, 0x36F), (0x391, 0x3C9),
    (0x400, 0x45F), (0x531, 0x556), (0x5D0, 0x5EA), (0x621, 0x64A), (0x660, 0x669), (0x905, 0x939), (0x985, 0x9A8),
    (0xB85, 0xBB9), (0xE01, 0xE3A), (0x10D0, 0x10F0), (0x1100, 0x1112), (0x1E00, 0x1EFF), (0x2010, 0x2027),
    (0x2030, 0x205E), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2190, 0x21FF), (0x2200, 0x22FF), (0x2500, 0x257F),
    (0x3001, 0x301F), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xFF01, 0xFF5E),
    (0x1D400, 0x1D454), (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x20000, 0x2A6D6),
]
WORDS = (
    "the of and to in is you that it he was for on are as with his they I at card payment transfer can't won't it's "
    "we'll don't Hello WORLD MiXeD email@example.com https://a.b/c?d=e #tag @name $9.99 1,234.56 50% 2024-01-31 "
    "naïve café Ångström façade Straße ÜBER größer ça où déjà niño mañana coração São İstanbul ığdır žluťoučký kůň "
    "zażółć gęślą jaźń ő ű crème brûlée e\u0301te\u0301 Привет мир как дела ёлка Й Київ їжак Γειά σου Κόσμε ς Ὀδυσσεύς "
    "שלום עולם مرحبا بالعالم ٱلسَّلَامُ سلام دنیا नमस्ते दुनिया ক্ষমা வணக்கம் สวัสดีชาวโลก ສະບາຍດີ გამარჯობა Բարեւ 你好 世界 银行卡 "
    "中文和English混合 こんにちは カタカナ 日本語のテスト 안녕하세요 세계 한글 ﬁne ﬂow ½ ² ™ № ﷺ 👍🏽 👨‍👩‍👧 🇩🇪 ❤️ 🎉🎉 ... !!! ?! -- __x__ a_b "
    "<b>bold</b> [MASK] [SEP] <s> tab\there nul\u200b zero\u200dwidth soft\u00adhyphen nb\u00a0space\u3000wide \ufeffbom "
    "Pneumonoultramicroscopicsilicovolcanoconiosis " + "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
).split(" ")
GLUE = [" ", " ", " ", " ", "", ", ", ". ", "  ", "\n", "-"]


class Draw:
    """mulberry32."""

    def __init__(self, seed: int) -> None:
        self.state = seed & MASK

    def below(self, n: int) -> int:
        self.state = (self.state + 0x6D2B79F5) & MASK
        t = self.state
        t = ((t ^ (t >> 15)) * (t | 1)) & MASK
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & MASK)) & MASK
        return ((t ^ (t >> 14)) & MASK) % n


def line(number: int) -> str:
    draw = Draw(number)
    text = ""
    for _ in range(1 + draw.below(16)):
        if draw.below(3):
            text += WORDS[draw.below(len(WORDS))]
        else:
            first, last = RANGES[draw.below(len(RANGES))]
            for _ in range(1 + draw.below(5)):
                text += chr(first + draw.below(last - first + 1))
        text += GLUE[draw.below(len(GLUE))]
    return text


def fnv(ids: list[int]) -> int:
    value = 0x811C9DC5
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        value = ((value ^ byte) * 0x01000193) & MASK
    return value


def minilm() -> PreTrainedTokenizerFast:
    folder = WEIGHTS / "minilm-l6"
    config = json.loads((folder / "tokenizer_config.json").read_text())
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        pad_token=config["pad_token"],
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def save(tokenizer: Tokenizer, name: str, **special: str) -> PreTrainedTokenizerFast:
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False))
    write_json(folder / "tokenizer_config.json", special)
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **special,
    )


def byte_level(lines: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>"]
    tokenizer.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=1_500, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return save(tokenizer, "byte-level", pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def unigram(lines: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    # Every character is in the vocabulary, so only the scripts that come first in Unicode can be.
    early = ("".join(c for c in text if ord(c) < 0x500) for text in lines)
    tokenizer.train_from_iterator(
        early,
        trainers.UnigramTrainer(
            vocab_size=1_500, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return save(tokenizer, "unigram", pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def hashes(tokenizer: PreTrainedTokenizerFast, lines: list[str]) -> str:
    """Every third line is the first of a pair with the line before it. Ids, mask and types count."""
    found = []
    for i, text in enumerate(lines):
        pair = lines[i - 1] if i % 3 == 2 else None
        out = tokenizer(text, pair, padding="max_length", truncation=True, max_length=LENGTH)
        found.append(fnv([*out["input_ids"], *out["attention_mask"], *out["token_type_ids"]]))
    return base64.b64encode(struct.pack(f"<{len(found)}I", *found)).decode()


def write() -> None:
    lines = [line(i) for i in range(LINES)]
    first = lines[:TRAINED_ON]
    made = {"minilm-l6": minilm(), "byte-level": byte_level(first), "unigram": unigram(first)}
    write_json(FOLDER / "draw.json", {"ranges": RANGES, "words": WORDS, "glue": GLUE})
    write_json(
        FOLDER / "expected.json",
        {
            "lines": LINES,
            "length": LENGTH,
            "text": base64.b64encode(struct.pack("<100I", *(fnv(list(t.encode())) for t in lines[:100]))).decode(),
            "ids": {name: hashes(tokenizer, lines) for name, tokenizer in made.items()},
        },
    )


if __name__ == "__main__":
    write()
