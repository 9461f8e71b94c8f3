"""What every fixture of a family holds: random weights, outputs, and the gradients of a LoRA in PEFT."""

import copy
from collections.abc import Callable

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from common import FIXTURES, generator, write_tensors

CLASSES = 5
RANK, ALPHA = 2, 4

Inputs = dict[str, torch.Tensor]
Outputs = dict[str, torch.Tensor]
Forward = Callable[[nn.Module, Inputs], Outputs]

NORMS = (nn.LayerNorm, nn.BatchNorm2d, nn.GroupNorm)


def randomise(model: nn.Module, seed: int) -> None:
    """Values that show when something is left out: biases, norms and running statistics are away from their defaults."""
    source = generator(seed)
    norms = {id(m.weight) for m in model.modules() if isinstance(m, NORMS) or type(m).__name__.endswith(("Norm2d", "RMSNorm"))}
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=source)
            if id(value) in norms:
                value.copy_(1 + 0.2 * noise)
            elif "layer_scale" in name or "logit_scale" in name:
                value.copy_(0.6 + 0.3 * noise)
            elif value.dim() < 2 or any(word in name for word in ("embedding.", "position", "token", "probe", "bias")):
                value.copy_(0.3 * noise)
            else:
                value.copy_(noise * (2 / value[0].numel()) ** 0.5)
        for name, value in model.named_buffers():
            if name.endswith("running_mean"):
                value.copy_(0.3 * torch.randn(value.shape, generator=source))
            elif name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=source))


def given_head(features: int, seed: int) -> Outputs:
    """A linear head for models that have none."""
    source = generator(seed)
    weight = torch.randn(CLASSES, features, generator=source) * (1 / features) ** 0.5
    return {"head.weight": weight, "head.bias": 0.3 * torch.randn(CLASSES, generator=source)}


def lora_gradients(model: nn.Module, run: Callable[[nn.Module], torch.Tensor], targets: list[str], seed: int) -> Outputs:
    """A LoRA with given factors on two modules: the loss of `run`'s logits and the gradients of the factors."""
    adapter = get_peft_model(
        copy.deepcopy(model), LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, lora_dropout=0.0)
    ).eval()
    for module in adapter.modules():
        # MobileNetV2 pads by these, and PEFT's wrapper of a convolution does not show them.
        if isinstance(getattr(module, "base_layer", None), nn.Conv2d):
            for key in ("stride", "kernel_size", "dilation"):
                setattr(module, key, getattr(module.base_layer, key))
    source = generator(seed)
    found = {}
    factors = {}
    with torch.no_grad():
        for name, value in adapter.named_parameters():
            if ".lora_" not in name:
                continue
            value.copy_(torch.randn(value.shape, generator=source) * 0.2)
            factors[name.removeprefix("base_model.model.").replace(".default.", ".")] = value
    if len(factors) != 2 * len(targets):
        raise ValueError(f"{targets} name {len(factors) / 2} modules.")
    logits = run(adapter.base_model.model)
    labels = torch.arange(logits.shape[0]) % CLASSES
    loss = nn.functional.cross_entropy(logits, (labels + 2) % CLASSES)
    loss.backward()
    for name, value in factors.items():
        found |= {f"lora.{name}": value, f"lora.grad.{name}": value.grad}
    return found | {"lora.logits": logits, "lora.loss": loss, "lora.labels": (labels + 2) % CLASSES}


def write_expected(name: str, model: nn.Module, forward: Forward, inputs: dict[str, Inputs], targets: list[str], seed: int) -> None:
    """
    `expected.safetensors` of a saved folder: for each prefix ('' or 'odd.') the inputs and what `forward` gives, then the
    LoRA's gradients at the first inputs. Without logits among the outputs a head is given.
    """
    model.eval()
    expected: Outputs = {}
    first = next(iter(inputs.values()))
    with torch.no_grad():
        # A copy each: some models keep what the first input's size told them.
        results = {prefix: forward(copy.deepcopy(model), given) for prefix, given in inputs.items()}
    head = {} if "logits" in results[""] else given_head(results[""]["features"].shape[1], seed + 7)

    def logits_of(adapted: nn.Module) -> torch.Tensor:
        found = forward(adapted, first)
        return found["logits"] if "logits" in found else nn.functional.linear(found["features"], *head.values())

    for prefix, given in inputs.items():
        expected |= {prefix + key: value for key, value in (given | results[prefix]).items()}
    expected |= head | lora_gradients(model, logits_of, targets, seed + 9)
    write_tensors(
        FIXTURES / name / "expected.safetensors",
        {key: value if value.is_floating_point() else value.int() for key, value in expected.items()},
    )
    size = sum(f.stat().st_size for f in (FIXTURES / name).iterdir())
    print(f"{name}: {size / 1000:.0f} kB, loss {expected['lora.loss']:.3f}")
    if size > 150_000:
        raise ValueError(f"{name} takes {size} bytes; make it smaller.")
