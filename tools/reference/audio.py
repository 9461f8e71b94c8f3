"""Sounds: files in every encoding that is read, features of transformers' extractors, and tiny AST and Whisper checkpoints."""

import struct
from pathlib import Path

import numpy as np
import soundfile
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    PreTrainedModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)

from checkpoints import CLASSES, LABELS, randomise
from common import FIXTURES, generator, write_json, write_tensors

SOUNDS = FIXTURES / "sounds"
RATE = 16000


def sound(seconds: float, rate: int, seed: int) -> np.ndarray:
    """A chirp, a decaying chord, hiss and a stretch of silence, f32 in -1..1 on the grid of 16-bit samples."""
    time = np.arange(round(seconds * rate)) / rate
    source = np.random.default_rng(seed)
    chirp = np.sin(2 * np.pi * (200 + 900 * time / seconds) * time)
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 1760.0)) * np.exp(-4 * time)
    wave = 0.4 * chirp + 0.15 * chord + 0.02 * source.standard_normal(len(time))
    wave[round(0.6 * len(time)) : round(0.75 * len(time))] = 0
    return (np.round(wave.clip(-1, 0.999) * 32768) / 32768).astype(np.float32)


def write_files(expected: dict[str, torch.Tensor]) -> None:
    """One short clip in each encoding, and what libsndfile reads of it: `<file>` [channels, samples]."""
    mono = sound(0.12, 8000, 1)
    stereo = np.stack([sound(0.08, 22050, 2), sound(0.08, 22050, 3)], axis=1)
    for name, data, rate, options in (
        ("pcm8.wav", mono, 8000, {"subtype": "PCM_U8"}),
        ("pcm16.wav", stereo, 22050, {"subtype": "PCM_16"}),
        ("pcm24.wav", mono, 8000, {"subtype": "PCM_24"}),
        ("pcm32.wav", mono, 8000, {"subtype": "PCM_32"}),
        ("float.wav", mono, 8000, {"subtype": "FLOAT"}),
        ("double.wav", mono, 8000, {"subtype": "DOUBLE"}),
        ("extensible.wav", stereo, 22050, {"subtype": "PCM_16", "format": "WAVEX"}),
        ("stereo.mp3", stereo, 22050, {"format": "MP3"}),
        ("mono.ogg", sound(0.4, 16000, 4), 16000, {"format": "OGG", "subtype": "VORBIS"}),
        ("stereo.flac", stereo, 22050, {"format": "FLAC", "subtype": "PCM_16"}),
        ("mono.opus", sound(0.4, 16000, 4), 16000, {"format": "OGG", "subtype": "OPUS"}),
        ("mulaw.wav", mono, 8000, {"subtype": "ULAW"}),
    ):
        path = SOUNDS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, data, rate, **options)
        if name not in ("mono.opus", "mulaw.wav"):
            read, _ = soundfile.read(path, dtype="float32", always_2d=True)
            expected[name] = torch.from_numpy(read.T.copy())
    whole = (SOUNDS / "pcm16.wav").read_bytes()
    (SOUNDS / "cut.wav").write_bytes(whole[: len(whole) // 2])
    at = whole.index(b"data") + 4
    streamed = whole[:at] + struct.pack("<I", 0xFFFFFFFF) + whole[at + 4 :]
    (SOUNDS / "streamed.wav").write_bytes(streamed)


def write_features(expected: dict[str, torch.Tensor]) -> None:
    """The features of `clip.wav` by the settings in `extractors.json`."""
    clip = sound(1.05, RATE, 5)
    soundfile.write(SOUNDS / "clip.wav", clip, RATE, subtype="PCM_16")
    extractors = {
        "whisper-pads": WhisperFeatureExtractor(feature_size=40, chunk_length=2),
        "whisper-cuts": WhisperFeatureExtractor(chunk_length=1),
        "whisper-128": WhisperFeatureExtractor(feature_size=128, chunk_length=1),
        "ast-pads": ASTFeatureExtractor(max_length=110),
        "ast-cuts": ASTFeatureExtractor(max_length=64, num_mel_bins=32, mean=-3.0, std=4.0),
        "ast-plain": ASTFeatureExtractor(max_length=20, do_normalize=False),
    }
    settings = {}
    for name, extractor in extractors.items():
        found = extractor(clip, sampling_rate=RATE, return_tensors="np")
        key = "input_features" if "whisper" in name else "input_values"
        expected[name] = torch.from_numpy(np.asarray(found[key][0], dtype=np.float32))
        settings[name] = extractor.to_dict()
        settings[name].pop("mel_filters", None)
        settings[name].pop("window", None)
    write_json(SOUNDS / "extractors.json", settings)


def smooth_mels(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Features in about -1..1 that change slowly along their last two axes."""
    source = generator(seed)
    mels = torch.zeros(shape)
    for cells in (3, 11):
        noise = torch.randn(shape[0], 1, cells, cells, generator=source)
        mels += torch.nn.functional.interpolate(noise, size=shape[1:], mode="bicubic")[:, 0]
    return mels.clamp(-1.5, 1.5) * 0.6


def outputs(model: PreTrainedModel, mel: torch.Tensor) -> dict[str, torch.Tensor]:
    """Last hidden state, what the last linear layer reads, and logits."""
    found = {"mel": mel}
    whisper = isinstance(model, WhisperForAudioClassification)
    base = model.encoder if whisper else model.audio_spectrogram_transformer
    found["last_hidden_state"] = base(mel).last_hidden_state
    head = model.classifier if whisper else model.classifier.dense
    hook = head.register_forward_pre_hook(lambda _, inputs: found.update(features=inputs[0]))
    found["logits"] = model(mel).logits
    hook.remove()
    return found


def lora_gradients(model: PreTrainedModel, mel: torch.Tensor, targets: list[str], head: list[str]) -> dict:
    """Mean cross entropy under a random LoRA (r 4, alpha 8), its gradients, and the LoRA itself, under module paths."""
    config = LoraConfig(r=4, lora_alpha=8, target_modules=targets, modules_to_save=head)
    adapter = get_peft_model(model, config)
    source = generator(7)
    for name, value in adapter.named_parameters():
        if "lora_" in name:
            value.data = torch.randn(value.shape, generator=source) * 0.2
    labels = torch.arange(len(mel)) % len(CLASSES)
    loss = torch.nn.functional.cross_entropy(adapter(mel).logits, labels)
    loss.backward()
    found = {"lora.labels": labels, "lora.loss": loss}
    for name, value in adapter.named_parameters():
        if value.grad is None:
            continue
        path = name.removeprefix("base_model.model.").replace(".default", "").replace(".modules_to_save", "")
        found |= {f"lora.{path}": value.data, f"lora.grad.{path}": value.grad}
    return found


def write_checkpoint(
    name: str,
    model: PreTrainedModel,
    extractor: ASTFeatureExtractor | WhisperFeatureExtractor,
    shape: tuple[int, ...],
    lora: tuple[list[str], list[str]],
    seed: int,
    shorter: tuple[PreTrainedModel, tuple[int, ...]] | None = None,
) -> None:
    """Save the folder; `shorter` is a model of the same weights for a shorter input, whose outputs go under `short.`."""
    folder = FIXTURES / name
    model.eval()
    randomise(model, seed)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    settings = extractor.to_dict()
    settings.pop("mel_filters", None)
    settings.pop("window", None)
    write_json(folder / "preprocessor_config.json", settings)
    mel = smooth_mels(shape, seed + 100)
    with torch.no_grad():
        expected = outputs(model, mel)
        if shorter:
            other, cut = shorter
            other.eval()
            other.load_state_dict(shortened(model.state_dict(), other.state_dict()), strict=True)
            found = outputs(other, smooth_mels(cut, seed + 101))
            expected |= {f"short.{key}": value for key, value in found.items()}
    expected |= lora_gradients(model, mel, *lora)
    write_tensors(folder / "expected.safetensors", expected)
    sizes = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: {sizes} bytes, logits {tuple(expected['logits'].shape)}")


def shortened(of: dict[str, torch.Tensor], to: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same values; of positions those of the first moments: Whisper's first rows, the first columns of AST's grid."""
    result = {}
    for name, value in of.items():
        wanted = to[name].shape
        if value.shape == wanted:
            result[name] = value
        elif name.endswith("embed_positions.weight"):
            result[name] = value[: wanted[0]]
        else:
            rows = (AST_TINY.num_mel_bins - AST_TINY.patch_size) // AST_TINY.frequency_stride + 1
            grid = value[:, 2:].unflatten(1, (rows, -1))
            columns = (wanted[1] - 2) // rows
            result[name] = torch.cat([value[:, :2], grid[:, :, :columns].flatten(1, 2)], dim=1)
    return result


# Overlapping patches of 8 with strides 5 and 6: 4 x 10 of them.
AST_SETTINGS = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, patch_size=8, frequency_stride=5,
    time_stride=6, max_length=64, num_mel_bins=24, **LABELS,
)  # fmt: skip
AST_TINY = ASTConfig(**AST_SETTINGS)

# Positions of two seconds: 200 frames, 100 tokens.
WHISPER_SETTINGS = dict(
    d_model=32, encoder_layers=2, num_hidden_layers=2, encoder_attention_heads=4, encoder_ffn_dim=32, decoder_layers=1,
    decoder_attention_heads=4, decoder_ffn_dim=64, vocab_size=64, num_mel_bins=16, max_source_positions=100,
    classifier_proj_size=24, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    suppress_tokens=None, begin_suppress_tokens=None, **LABELS,
)  # fmt: skip


def write_models() -> None:
    ast = (["q_proj", "v_proj", "fc1"], ["classifier.dense"])
    whisper = (["q_proj", "v_proj", "fc2"], ["projector", "classifier"])
    short = ASTConfig(**AST_SETTINGS | {"max_length": 40})
    write_checkpoint(
        "ast-tiny", ASTForAudioClassification(AST_TINY), ASTFeatureExtractor(max_length=64, num_mel_bins=24),
        (3, 64, 24), ast, 60, (ASTForAudioClassification(short), (2, 40, 24)),
    )  # fmt: skip
    other = ASTConfig(
        **AST_SETTINGS | dict(num_hidden_layers=1, qkv_bias=False, hidden_act="relu", frequency_stride=8, time_stride=8, patch_size=8)
    )
    write_checkpoint(
        "ast-plain-tiny", ASTForAudioClassification(other), ASTFeatureExtractor(max_length=64, num_mel_bins=24),
        (2, 64, 24), ast, 61,
    )  # fmt: skip
    short = WhisperConfig(**WHISPER_SETTINGS | {"max_source_positions": 50})
    write_checkpoint(
        "whisper-tiny", WhisperForAudioClassification(WhisperConfig(**WHISPER_SETTINGS)),
        WhisperFeatureExtractor(feature_size=16, chunk_length=2), (2, 16, 200), whisper, 70,
        (WhisperForAudioClassification(short), (2, 16, 100)),
    )  # fmt: skip
    summed = WhisperConfig(
        **WHISPER_SETTINGS | dict(use_weighted_layer_sum=True, activation_function="gelu_new", encoder_attention_heads=2)
    )
    write_checkpoint(
        "whisper-summed-tiny", WhisperForAudioClassification(summed),
        WhisperFeatureExtractor(feature_size=16, chunk_length=2), (2, 16, 200), whisper, 71,
    )  # fmt: skip


def write() -> None:
    for file, fill in (("decoded", write_files), ("features", write_features)):
        expected: dict[str, torch.Tensor] = {}
        fill(expected)
        write_tensors(SOUNDS / f"{file}.safetensors", expected)
    write_models()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    write()
    for path in sorted(Path(SOUNDS).iterdir()):
        print(path.name, path.stat().st_size)
