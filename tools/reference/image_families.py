"""Tiny random checkpoints of the image families, as their libraries save them, and what PyTorch computes with them."""

import json

import torch
from mobile_sam.modeling.common import LayerNorm2d
from mobile_sam.modeling.tiny_vit_sam import TinyViT
from safetensors.torch import save_file
from timm.models.tiny_vit import TinyVit
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPForImageClassification,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextV2Config,
    ConvNextV2ForImageClassification,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    EfficientNetConfig,
    EfficientNetForImageClassification,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipModel,
    SwinConfig,
    SwinForImageClassification,
)

from common import FIXTURES, generator, smooth_images, write_json
from families import CLASSES, Forward, Inputs, Outputs, randomise, write_expected

LABELS = {"num_labels": CLASSES}


def pictures(sizes: dict[str, tuple[int, int, int]], seed: int) -> dict[str, Inputs]:
    """Sizes are (pictures, height, width)."""
    return {
        prefix: {"pixel_values": smooth_images((count, 3, height, width), seed + 100 + i)}
        for i, (prefix, (count, height, width)) in enumerate(sizes.items())
    }


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x


def classified(resizes: bool = False, head: str = "classifier") -> Forward:
    """Last hidden state, what the head reads, and logits of a task class."""

    def forward(model: nn.Module, inputs: Inputs) -> Outputs:
        found: Outputs = {}
        linear = model.get_submodule(head)
        hook = linear.register_forward_pre_hook(lambda _, args: found.update(features=args[0]))
        base = getattr(model, model.base_model_prefix, None) or model.vision_model
        other = base.register_forward_hook(
            lambda _, __, output: found.update(last_hidden_state=channels_last(output[0]))
        )
        found["logits"] = model(**inputs, **({"interpolate_pos_encoding": True} if resizes else {})).logits
        hook.remove()
        other.remove()
        return found

    return forward


def write_hugging_face(
    name: str,
    model: PreTrainedModel,
    forward: Forward,
    inputs: dict[str, Inputs],
    targets: list[str],
    seed: int,
) -> None:
    model.eval()
    randomise(model, seed)
    model.save_pretrained(FIXTURES / name)
    (FIXTURES / name / "model.safetensors").chmod(0o644)
    write_expected(name, model, forward, inputs, targets, seed)


def write_plain(
    name: str, model: nn.Module, config: dict, names: dict[str, str], forward: Forward, sizes: dict, targets: list[str], seed: int
) -> None:
    """A model of another library: its state under other prefixes, and a config.json."""
    model.eval()
    randomise(model, seed)
    state = {}
    for key, value in model.state_dict().items():
        for old, new in names.items():
            if key.startswith(old):
                key = new + key[len(old) :]
        state[key] = value.contiguous()
    (FIXTURES / name).mkdir(exist_ok=True)
    save_file(state, FIXTURES / name / "model.safetensors", metadata={"format": "pt"})
    (FIXTURES / name / "model.safetensors").chmod(0o644)
    write_json(FIXTURES / name / "config.json", config)
    write_expected(name, model, forward, pictures(sizes, seed), targets, seed)


def write_deit() -> None:
    small = dict(num_hidden_layers=2, **LABELS)
    config = DeiTConfig(hidden_size=24, num_attention_heads=3, intermediate_size=48, image_size=24, patch_size=8, **small)
    write_hugging_face(
        "deit-tiny",
        DeiTForImageClassification(config),
        classified(resizes=True),
        pictures({"": (2, 24, 24), "odd.": (1, 17, 43)}, 200),
        ["deit.layers.0.attention.q_proj", "deit.layers.1.mlp.fc2"],
        200,
    )
    config = DeiTConfig(
        hidden_size=32, num_attention_heads=4, intermediate_size=40, image_size=25, patch_size=5, hidden_act="relu", qkv_bias=False, **small
    )

    def forward(model: nn.Module, inputs: Inputs) -> Outputs:
        last = model.deit(**inputs, interpolate_pos_encoding=True).last_hidden_state
        logits = model(**inputs, interpolate_pos_encoding=True).logits
        return {"last_hidden_state": last, "features": last[:, 0], "logits": logits}

    write_hugging_face(
        "deit-teacher-tiny",
        DeiTForImageClassificationWithTeacher(config),
        forward,
        pictures({"": (2, 25, 25), "odd.": (1, 31, 16)}, 210),
        ["deit.layers.0.attention.v_proj", "deit.layers.1.attention.o_proj"],
        210,
    )


def token_ids(rows: list[list[int]], length: int, pad: int) -> Inputs:
    """Rows padded on the right; the mask is 1 on tokens."""
    ids = torch.tensor([row + [pad] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def write_clip() -> None:
    vision = dict(hidden_size=24, num_attention_heads=3, intermediate_size=40, num_hidden_layers=2, image_size=20, patch_size=4)
    text = dict(hidden_size=16, num_attention_heads=2, intermediate_size=24, num_hidden_layers=2, vocab_size=60, max_position_embeddings=12)

    # The end of text is the largest id where the configuration says 2, as the published checkpoints do.
    def both(eos: int, rows: list[list[int]]):
        tokens = token_ids(rows, 10, 1)

        def forward(model: nn.Module, inputs: Inputs) -> Outputs:
            outputs = model(**inputs, **tokens, interpolate_pos_encoding=True)
            last = outputs.vision_model_output.last_hidden_state
            found = {"last_hidden_state": last, "features": last[:, 1:].mean(1)}
            zero_shot = {"image_embeds": outputs.image_embeds, "text_embeds": outputs.text_embeds}
            return found | tokens | zero_shot | {
                "logits_per_image": outputs.logits_per_image,
                "text_last_hidden_state": outputs.text_model_output.last_hidden_state,
            }

        config = CLIPConfig(
            text_config=CLIPTextConfig(**text, eos_token_id=eos).to_dict(), vision_config=vision, projection_dim=16
        )
        return CLIPModel(config), forward

    for name, eos, rows, seed in (
        ("clip-tiny", 2, [[57, 5, 7, 58], [57, 9, 8, 20, 33, 11, 58], [57, 58]], 300),
        ("clip-eos-tiny", 41, [[40, 5, 59, 41], [40, 9, 58, 20, 33, 11, 7, 8, 2, 41]], 310),
    ):
        model, forward = both(eos, rows)
        write_hugging_face(
            name,
            model,
            forward,
            pictures({"": (2, 20, 20), "odd.": (1, 18, 27)}, seed),
            ["vision_model.encoder.layers.0.self_attn.q_proj", "vision_model.encoder.layers.1.mlp.fc1"],
            seed,
        )
    config = CLIPConfig(text_config=text, vision_config=vision | {"hidden_act": "gelu", "patch_size": 6, "image_size": 26}, **LABELS)
    write_hugging_face(
        "clip-classifier-tiny",
        CLIPForImageClassification(config),
        classified(resizes=True),
        pictures({"": (2, 26, 26), "odd.": (1, 19, 31)}, 320),
        ["vision_model.encoder.layers.0.self_attn.v_proj", "vision_model.encoder.layers.1.self_attn.out_proj"],
        320,
    )

    def embedded(model: nn.Module, inputs: Inputs) -> Outputs:
        outputs = model(**inputs)
        hidden = model.text_model(**inputs)
        return {"last_hidden_state": outputs.last_hidden_state, "features": hidden.pooler_output, "text_embeds": outputs.text_embeds}

    write_hugging_face(
        "clip-text-tiny",
        CLIPTextModelWithProjection(CLIPTextConfig(**text, hidden_act="gelu", projection_dim=16, eos_token_id=41)),
        embedded,
        {"": token_ids([[40, 5, 59, 41], [40, 9, 20, 33, 11, 7, 41]], 9, 1)},
        ["text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.1.mlp.fc2"],
        330,
    )


def write_siglip() -> None:
    vision = dict(hidden_size=24, num_attention_heads=3, intermediate_size=40, num_hidden_layers=2, image_size=20, patch_size=5)
    text = dict(hidden_size=24, num_attention_heads=4, intermediate_size=30, num_hidden_layers=1, vocab_size=60, max_position_embeddings=12)
    ids = token_ids([[5, 7, 58, 1], [9, 8, 20, 33, 11, 58, 1], [4, 1]], 12, 1)["input_ids"]

    def forward(model: nn.Module, inputs: Inputs) -> Outputs:
        outputs = model(**inputs, input_ids=ids, interpolate_pos_encoding=True)
        last = outputs.vision_model_output.last_hidden_state
        return {
            "input_ids": ids,
            "last_hidden_state": last,
            "features": last.mean(1),
            "image_embeds": outputs.image_embeds,
            "text_embeds": outputs.text_embeds,
            "logits_per_image": outputs.logits_per_image,
            "text_last_hidden_state": outputs.text_model_output.last_hidden_state,
        }

    for name, changed, seed in (("siglip-tiny", {}, 400), ("siglip-wide-tiny", {"num_attention_heads": 2, "patch_size": 4}, 410)):
        write_hugging_face(
            name,
            SiglipModel(SiglipConfig(text_config=text, vision_config=vision | changed)),
            forward,
            pictures({"": (2, 20, 20), "odd.": (1, 22, 13)}, seed),
            ["vision_model.encoder.layers.0.self_attn.q_proj", "vision_model.encoder.layers.1.mlp.fc2"],
            seed,
        )
    write_hugging_face(
        "siglip-classifier-tiny",
        SiglipForImageClassification(
            SiglipConfig(text_config=text, vision_config=vision | {"vision_use_head": False, "hidden_act": "gelu"}, **LABELS)
        ),
        classified(resizes=True),
        pictures({"": (2, 20, 20), "odd.": (1, 17, 29)}, 420),
        ["vision_model.encoder.layers.0.self_attn.v_proj", "vision_model.encoder.layers.1.self_attn.out_proj"],
        420,
    )


def write_swin() -> None:
    block = "swin.encoder.layers"
    config = SwinConfig(embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4, mlp_ratio=2.0, image_size=32, patch_size=2, **LABELS)
    write_hugging_face(
        "swin-tiny",
        SwinForImageClassification(config),
        classified(),
        pictures({"": (2, 32, 32), "odd.": (1, 30, 27)}, 500),
        [f"{block}.0.blocks.1.attention.q_proj", f"{block}.1.blocks.1.attention.v_proj"],
        500,
    )
    # Windows of 3 over 7 x 7 and 4 x 4 places, all padded, with positions of their own.
    config = SwinConfig(
        embed_dim=12,
        depths=[1, 2],
        num_heads=[3, 3],
        window_size=3,
        mlp_ratio=1.5,
        image_size=28,
        patch_size=4,
        qkv_bias=False,
        hidden_act="relu",
        use_absolute_embeddings=True,
        **LABELS,
    )
    write_hugging_face(
        "swin-padded-tiny",
        SwinForImageClassification(config),
        classified(resizes=True),
        pictures({"": (2, 28, 28), "odd.": (1, 36, 20)}, 510),
        [f"{block}.0.downsample.reduction", f"{block}.1.blocks.1.mlp.fc1"],
        510,
    )


def pooled(model: nn.Module, inputs: Inputs) -> Outputs:
    last = model.forward_features(inputs["pixel_values"])
    features = model.forward_head(last, pre_logits=True)
    return {"last_hidden_state": channels_last(last), "features": features, "logits": model.head.fc(features)}


def original_tiny_vit(key: str) -> str:
    """timm's name of a TinyViT's parameter as its authors' files have it."""
    for old, new in ((".conv.", ".c."), ("patch_embed.conv1.", "patch_embed.seq.0."), ("patch_embed.conv2.", "patch_embed.seq.2.")):
        key = key.replace(old, new)
    for stage in range(1, 4):
        key = key.replace(f"stages.{stage}.downsample", f"layers.{stage - 1}.downsample")
    return key.replace("stages.", "layers.").replace("head.norm", "norm_head").replace("head.fc", "head")


def write_tiny_vit() -> None:
    sizes = {"": (2, 40, 40), "odd.": (1, 37, 58)}
    args = dict(embed_dims=[4, 8, 12, 16], depths=[1, 1, 2, 1], num_heads=[1, 2, 3, 2], window_sizes=[3, 3, 4, 2])
    config = {"architecture": "tiny_vit_5m_224", "num_classes": CLASSES, "num_features": 16, "model_args": args}
    write_plain(
        "tinyvit-tiny",
        TinyVit(num_classes=CLASSES, **args),
        config,
        {},
        pooled,
        sizes,
        ["stages.1.blocks.0.attn.qkv", "stages.2.downsample.conv3.conv"],
        600,
    )
    # The authors' own names, windows as large as the map and larger.
    args = dict(embed_dims=[4, 8, 12, 18], depths=[2, 1, 1, 1], num_heads=[2, 2, 2, 3], window_sizes=[7, 6, 5, 7], mlp_ratio=2.0)
    config = {"architecture": "tiny_vit_21m_224", "num_classes": CLASSES, "num_features": 18, "model_args": args}
    model = TinyVit(num_classes=CLASSES, **args)
    names = {key: original_tiny_vit(key) for key in sorted(model.state_dict(), key=len)}
    write_plain("tinyvit-original-tiny", model, config, names, pooled, sizes, ["stages.3.blocks.0.mlp.fc1", "stages.1.blocks.0.attn.proj"], 610)


def write_mobile_sam() -> None:
    """Its own class with the last stride and the neck of small widths: the former hangs on a width of 320, the latter is 256."""
    for name, args, neck, size, odd, seed in (
        ("mobile-sam-tiny", dict(embed_dims=[4, 8, 8, 12], depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 3], window_sizes=[3, 3, 4, 2]), 8, 48, 64, 620),
        ("mobile-sam-wide-tiny", dict(embed_dims=[4, 8, 12, 16], depths=[2, 1, 1, 1], num_heads=[1, 1, 2, 4], window_sizes=[7, 4, 5, 3]), 6, 32, 64, 630),
    ):

        def build(side: int) -> TinyViT:
            model = TinyViT(img_size=side, num_classes=0, drop_path_rate=0.0, **args)
            model.layers[2].downsample.conv2.c.stride = (1, 1)
            width = args["embed_dims"][-1]
            model.neck = nn.Sequential(
                nn.Conv2d(width, neck, 1, bias=False), LayerNorm2d(neck), nn.Conv2d(neck, neck, 3, padding=1, bias=False), LayerNorm2d(neck)
            )
            return model

        def forward(model: nn.Module, inputs: Inputs) -> Outputs:
            x = inputs["pixel_values"]
            # A model knows its side when it is made.
            encoder = model.image_encoder
            if x.shape[-1] != encoder.img_size:
                encoder = build(x.shape[-1])
                encoder.load_state_dict(model.image_encoder.state_dict())
                # Here it looks its attention biases up, so not before it has them.
                encoder.eval()
            y = encoder.patch_embed(x)
            for layer in encoder.layers:
                y = layer(y)
            side = x.shape[-1] // 16
            last = encoder.neck(y.view(len(x), side, side, -1).permute(0, 3, 1, 2))
            return {"last_hidden_state": channels_last(last), "features": last.mean((2, 3))}

        config = {"architecture": "mobile_sam_vit_t", "image_size": size, "model_args": args | {"neck": neck}}
        model = nn.ModuleDict({"image_encoder": build(size)})
        write_plain(
            name,
            model,
            config,
            {},
            forward,
            {"": (1, size, size), "odd.": (1, odd, odd)},
            ["image_encoder.layers.1.blocks.0.attn.qkv", "image_encoder.neck.0"],
            seed,
        )


def write_convnext() -> None:
    sizes = {"": (2, 32, 32), "odd.": (1, 37, 51)}
    config = ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 2], num_stages=2, layer_scale_init_value=0.1, **LABELS)
    stages = "convnext.encoder.stages"
    targets = [f"{stages}.0.layers.0.pwconv1", f"{stages}.1.downsampling_layer.1"]
    write_hugging_face("convnext-tiny", ConvNextForImageClassification(config), classified(), pictures(sizes, 700), targets, 700)
    config = ConvNextConfig(
        hidden_sizes=[6, 12, 18], depths=[1, 1, 1], num_stages=3, patch_size=2, layer_scale_init_value=0.0, hidden_act="silu", layer_norm_eps=1e-5, **LABELS
    )
    targets = [f"{stages}.1.layers.0.pwconv2", f"{stages}.2.layers.0.pwconv1"]
    write_hugging_face("convnext-plain-tiny", ConvNextForImageClassification(config), classified(), pictures(sizes, 710), targets, 710)
    config = ConvNextV2Config(hidden_sizes=[8, 16], depths=[1, 2], num_stages=2, **LABELS)
    targets = [f"convnextv2.encoder.stages.{i}.layers.0.pwconv{i + 1}" for i in range(2)]
    write_hugging_face("convnextv2-tiny", ConvNextV2ForImageClassification(config), classified(), pictures(sizes, 720), targets, 720)
    config = ConvNextV2Config(hidden_sizes=[6, 12, 18], depths=[1, 1, 1], num_stages=3, patch_size=2, **LABELS)
    write_hugging_face("convnextv2-deep-tiny", ConvNextV2ForImageClassification(config), classified(), pictures(sizes, 730), targets, 730)


def write_resnet() -> None:
    sizes = {"": (2, 32, 32), "odd.": (1, 37, 51)}
    forward = classified(head="classifier.1")
    stages = "resnet.encoder.stages"
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic", **LABELS)
    targets = [f"{stages}.0.layers.0.layer.1.convolution", f"{stages}.1.layers.0.shortcut.convolution"]
    write_hugging_face("resnet-basic-tiny", ResNetForImageClassification(config), forward, pictures(sizes, 800), targets, 800)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[2, 1], **LABELS)
    targets = [f"{stages}.0.layers.1.layer.0.convolution", f"{stages}.1.layers.0.layer.1.convolution"]
    write_hugging_face("resnet-bottleneck-tiny", ResNetForImageClassification(config), forward, pictures(sizes, 810), targets, 810)
    config = ResNetConfig(
        embedding_size=6, hidden_sizes=[12, 24], depths=[1, 2], downsample_in_first_stage=True, downsample_in_bottleneck=True, hidden_act="silu", **LABELS
    )
    write_hugging_face(
        "resnet-early-tiny", ResNetForImageClassification(config), forward, pictures(sizes, 820), [f"{stages}.1.layers.0.layer.0.convolution", "resnet.embedder.embedder.convolution"], 820
    )


def write_mobilenet() -> None:
    sizes = {"": (2, 32, 32), "odd.": (1, 37, 45)}
    small = dict(depth_divisible_by=4, min_depth=4, finegrained_output=False, **LABELS)
    config = MobileNetV2Config(depth_multiplier=0.06, expand_ratio=2, **small)
    targets = ["mobilenet_v2.layer.4.expand_1x1.convolution", "mobilenet_v2.conv_1x1.convolution"]
    write_hugging_face("mobilenetv2-tiny", MobileNetV2ForImageClassification(config), classified(), pictures(sizes, 900), targets, 900)
    config = MobileNetV2Config(
        depth_multiplier=0.06, expand_ratio=1.5, output_stride=8, tf_padding=False, first_layer_is_expansion=False, hidden_act="relu", **small
    )
    targets = ["mobilenet_v2.layer.12.reduce_1x1.convolution", "mobilenet_v2.conv_stem.expand_1x1.convolution"]
    write_hugging_face("mobilenetv2-dilated-tiny", MobileNetV2ForImageClassification(config), classified(), pictures(sizes, 910), targets, 910)


def write_efficientnet() -> None:
    sizes = {"": (2, 32, 32), "odd.": (1, 37, 45)}
    stages = dict(in_channels=[32, 16, 24], out_channels=[16, 24, 40], strides=[1, 2, 2], kernel_sizes=[3, 3, 5])
    small = dict(width_coefficient=0.1, depth_divisor=4, hidden_dim=128, depth_coefficient=1.0, **stages, **LABELS)
    config = EfficientNetConfig(num_block_repeats=[1, 2, 2], expand_ratios=[1, 6, 3], **small)
    block = "efficientnet.encoder.blocks"
    targets = [f"{block}.3.expansion.expand_conv", f"{block}.4.squeeze_excite.reduce"]
    write_hugging_face("efficientnet-tiny", EfficientNetForImageClassification(config), classified(), pictures(sizes, 920), targets, 920)
    config = EfficientNetConfig(
        num_block_repeats=[1, 1, 1], expand_ratios=[1, 4, 2], **small | {"depth_coefficient": 1.4}, depthwise_padding=[2], pooling_type="max", hidden_act="relu"
    )
    targets = [f"{block}.5.projection.project_conv", "efficientnet.encoder.top_conv"]
    write_hugging_face("efficientnet-max-tiny", EfficientNetForImageClassification(config), classified(), pictures(sizes, 930), targets, 930)


def write() -> None:
    write_deit()
    write_clip()
    write_siglip()
    write_swin()
    write_tiny_vit()
    write_mobile_sam()
    write_convnext()
    write_resnet()
    write_mobilenet()
    write_efficientnet()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    write()
