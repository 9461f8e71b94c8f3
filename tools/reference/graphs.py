"""Tiny models as exporters leave them in ONNX files: linear weights turned and nameless, the rest under their names."""

import shutil

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Dinov2Config, Dinov2Model, ViTConfig, ViTForImageClassification

from common import FIXTURES, generator, write_tensors

FOLDER = FIXTURES / "graphs"


class Wrapped(nn.Module):
    """A backbone inside another module, as applications hold them."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.backbone(pixels).last_hidden_state.mean(1)


def export(model: nn.Module, name: str, side: int, **options) -> None:
    torch.onnx.export(
        model.eval(),
        (torch.randn(2, 3, side, side, generator=generator(5)),),
        str(FOLDER / f"{name}.onnx"),
        dynamo=False,
        input_names=["image"],
        opset_version=17,
        **options,
    )


@torch.no_grad()
def write() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    torch.manual_seed(6)
    batches = {"dynamic_axes": {"image": {0: "batch"}}}
    vit = ViTForImageClassification(
        ViTConfig(
            hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=24, patch_size=8
        )
    )
    export(vit, "vit", 24, output_names=["logits"], **batches)
    dino = Dinov2Model(
        Dinov2Config(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=4)
    )
    for parameter in dino.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator(7)))
    export(Wrapped(dino), "dinov2", 20, output_names=["embedding"], **batches)
    weights = {f"vit.{k}": v for k, v in vit.state_dict().items()} | {f"dinov2.{k}": v for k, v in dino.state_dict().items()}
    save_file({k: v.contiguous() for k, v in weights.items()}, FOLDER / "expected.safetensors")
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2))
    # A fixed batch, and features as a map of places.
    export(net, "convolutions", 16, output_names=["map"])
    images = torch.randn(3, 3, 16, 16, generator=generator(8))
    write_tensors(FOLDER / "features.safetensors", {"images": images, "features": net(images).mean((2, 3))})


if __name__ == "__main__":
    write()
