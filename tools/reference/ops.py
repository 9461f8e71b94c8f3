"""References for single operations: f32 inputs, computed in float64 by PyTorch, outputs and input gradients stored in f32."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from common import FIXTURES, generator, write_json, write_tensors

FOLDER = FIXTURES / "ops"


class Table:
    """Collects cases; a case is a function of named f64 tensors that returns one tensor."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.cases: list[dict] = []
        self.source = generator(7)

    def normal(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.randn(shape, generator=self.source) * scale

    def add(self, name: str, op: str, attrs: dict, inputs: dict[str, torch.Tensor], f: Callable) -> None:
        leaves = {k: v.double().requires_grad_(v.is_floating_point()) if v.is_floating_point() else v for k, v in inputs.items()}
        out = f(**leaves)
        upstream = self.normal(*out.shape)
        floats = [k for k, v in leaves.items() if v.is_floating_point()]
        gradients = torch.autograd.grad(out, [leaves[k] for k in floats], upstream.double())
        self.cases.append({"name": name, "op": op, "attrs": attrs, "inputs": list(inputs), "gradients": floats})
        self.tensors |= {f"{name}.in.{k}": v for k, v in inputs.items()}
        self.tensors[f"{name}.out"] = out
        self.tensors[f"{name}.upstream"] = upstream
        self.tensors |= {f"{name}.grad.{k}": g for k, g in zip(floats, gradients)}


def same_pad(x: torch.Tensor, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> torch.Tensor:
    """TensorFlow's SAME: output ceil(size / stride), the odd row or column of padding at the end."""
    pads = []
    for size, k, s, d in zip(x.shape[-2:], kernel, stride, dilation):
        total = max((math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads.append((total // 2, total - total // 2))
    return F.pad(x, (*pads[1], *pads[0]))


def convolutions(table: Table) -> None:
    cases = (
        # name, x, w, bias, stride, padding ('same' or numbers), dilation, groups
        ("general", (2, 3, 11, 9), (5, 3, 3, 2), True, (2, 1), (1, 2), (1, 2), 1),
        ("grouped", (2, 6, 7, 10), (9, 2, 3, 3), True, (2, 2), (1, 1), (1, 1), 3),
        ("depthwise", (3, 5, 13, 8), (5, 1, 5, 5), True, (2, 2), (2, 2), (1, 1), 5),
        ("depthwise_dilated", (1, 7, 9, 9), (7, 1, 3, 3), False, (1, 1), (2, 2), (2, 2), 7),
        ("depthwise_multiplier", (2, 5, 6, 7), (10, 1, 3, 3), False, (1, 1), (1, 1), (1, 1), 5),
        ("pointwise", (2, 13, 5, 7), (11, 13, 1, 1), True, (1, 1), (0, 0), (1, 1), 1),
        ("pointwise_strided", (2, 5, 7, 6), (3, 5, 1, 1), False, (2, 2), (0, 0), (1, 1), 1),
        ("patches", (3, 3, 12, 20), (8, 3, 4, 4), True, (4, 4), (0, 0), (1, 1), 1),
        ("same_odd", (2, 3, 11, 14), (4, 3, 3, 3), False, (2, 2), "same", (1, 1), 1),
        ("same_even_kernel", (1, 3, 8, 9), (4, 3, 4, 2), False, (1, 1), "same", (1, 1), 1),
        ("same_depthwise", (2, 6, 15, 12), (6, 1, 5, 5), False, (2, 2), "same", (1, 1), 6),
        ("same_stride3_dilated", (1, 2, 13, 10), (3, 2, 3, 3), True, (3, 3), "same", (2, 2), 1),
    )
    for name, xs, ws, has_bias, stride, padding, dilation, groups in cases:
        inputs = {"x": table.normal(*xs), "w": table.normal(*ws, scale=0.4)}
        if has_bias:
            inputs["b"] = table.normal(ws[0])

        def run(x, w, b=None, stride=stride, padding=padding, dilation=dilation, groups=groups):
            if padding == "same":
                x = same_pad(x, tuple(w.shape[-2:]), stride, dilation)
            return F.conv2d(x, w, b, stride, 0 if padding == "same" else padding, dilation, groups)

        attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        table.add(f"conv2d.{name}", "conv2d", attrs, inputs, run)


def activations_and_norms(table: Table) -> None:
    spread = torch.cat([torch.linspace(-9, 9, 35), torch.tensor([0.0, -30.0, 30.0, 1e-4])]).reshape(3, 13)
    for approximate in ("none", "tanh"):
        table.add(
            f"gelu.{approximate}", "gelu", {"approximate": approximate}, {"x": spread},
            lambda x, a=approximate: F.gelu(x, approximate=a),
        )  # fmt: skip
    for name, shape, eps, shift in (("eps6", (3, 5, 33), 1e-6, 0.0), ("eps12", (2, 7), 1e-12, 0.0), ("offset", (4, 129), 1e-5, 50.0)):
        inputs = {"x": table.normal(*shape) + shift, "w": 1 + table.normal(shape[-1], scale=0.3), "b": table.normal(shape[-1])}
        table.add(
            f"layer_norm.{name}", "layer_norm", {"eps": eps}, inputs,
            lambda x, w, b, eps=eps: F.layer_norm(x, (x.shape[-1],), w, b, eps),
        )  # fmt: skip
    inputs = {"x": table.normal(3, 5, 33), "w": 1 + table.normal(33, scale=0.3)}
    table.add("rms_norm", "rms_norm", {"eps": 1e-6}, inputs, lambda x, w: F.rms_norm(x, (33,), w, 1e-6))


def attention(table: Table) -> None:
    cases = (
        # name, (batch, heads, queries, width), keys, causal, scale of q
        ("self", (2, 3, 7, 5), 7, False, 1.0),
        ("causal", (2, 2, 9, 8), 9, True, 1.0),
        ("cross", (1, 3, 5, 8), 11, False, 1.0),
        ("long", (1, 2, 67, 16), 67, False, 1.0),
        ("causal_long", (1, 1, 70, 16), 70, True, 1.0),
        ("large_scores", (1, 2, 6, 8), 6, False, 40.0),
    )
    for name, (batch, heads, queries, width), keys, causal, scale in cases:
        inputs = {
            "q": table.normal(batch, heads, queries, width, scale=scale),
            "k": table.normal(batch, heads, keys, width),
            "v": table.normal(batch, heads, keys, width),
        }
        attrs = {"causal": causal, "scale": width**-0.5}
        table.add(
            f"attention.{name}", "attention", attrs, inputs,
            lambda q, k, v, c=causal: F.scaled_dot_product_attention(q, k, v, is_causal=c),
        )  # fmt: skip


def losses(table: Table) -> None:
    labels = torch.tensor([0, 3, 6, 2, 2])
    for name, smoothing, scale in (("plain", 0.0, 1.0), ("smoothed", 0.1, 1.0), ("confident", 0.0, 60.0)):
        inputs = {"logits": table.normal(5, 7, scale=scale), "labels": labels}
        attrs = {"label_smoothing": smoothing, "reduction": "mean"}
        table.add(
            f"cross_entropy.{name}", "cross_entropy", attrs, inputs,
            lambda logits, labels, s=smoothing: F.cross_entropy(logits, labels, label_smoothing=s),
        )  # fmt: skip


def write() -> None:
    table = Table()
    convolutions(table)
    activations_and_norms(table)
    attention(table)
    losses(table)
    write_tensors(FOLDER / "ops.safetensors", table.tensors)
    write_json(FOLDER / "ops.json", table.cases)
    print(f"ops: {len(table.cases)} cases")
