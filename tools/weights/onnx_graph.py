"""ONNX graphs whose weights stay where they are: initialisers point at byte ranges of the folder's model.safetensors.

A graph maps `pixel_values` [n, 3, h, w] (all but the channels dynamic) to `features` [n, width], what a classification
head reads; transformers also give `last_hidden_state` [n, tokens, width]. Half precision and int8 become f32 in the graph.
A loader passes the weights as external data named `model.safetensors`.
"""

import json
import struct
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# Version 8 of the format came with opset 17.
IR_VERSION = 8
DTYPES = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT, "I8": TensorProto.INT8}
WEIGHTS_FILE = "model.safetensors"


class Graph:
    """A graph under construction over one safetensors file; methods append nodes and return the name of their output."""

    def __init__(self, safetensors: Path) -> None:
        with open(safetensors, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            self.header = json.loads(file.read(length))
        self.start = 8 + length
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: dict[str, TensorProto] = {}
        self.cast: dict[str, str] = {}

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attrs) -> str:
        index = len(self.nodes)
        names = [f"{kind}_{index}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attrs))
        return names[0]

    def constant(self, value: np.ndarray | list | float, dtype: type = np.float32) -> str:
        name = f"constant_{len(self.initialisers)}"
        self.initialisers[name] = numpy_helper.from_array(np.asarray(value, dtype=dtype), name)
        return name

    def shape(self, name: str) -> list[int]:
        return self.header[name]["shape"]

    def weight(self, name: str) -> str:
        """The named tensor in f32."""
        if name in self.cast:
            return self.cast[name]
        dtype = self.stored(name, self.shape(name))
        if dtype == "I8":
            scale = f"{name}_scale"
            self.stored(scale, self.shape(name)[:1])
            self.cast[name] = self.op("DequantizeLinear", name, scale, axis=0)
        else:
            self.cast[name] = self.op("Cast", name, to=TensorProto.FLOAT) if dtype == "F16" else name
        return self.cast[name]

    def stored(self, name: str, shape: list[int]) -> str:
        """An initialiser of that shape over the named tensor's bytes; returns the tensor's dtype."""
        entry = self.header[name]
        first, last = entry["data_offsets"]
        tensor = TensorProto(name=name, data_type=DTYPES[entry["dtype"]], dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS_FILE), ("offset", self.start + first), ("length", last - first)):
            tensor.external_data.add(key=key, value=str(value))
        self.initialisers[name] = tensor
        return entry["dtype"]

    def linear(self, x: str, path: str) -> str:
        product = self.op("MatMul", x, self.op("Transpose", self.weight(f"{path}.weight"), perm=[1, 0]))
        return self.op("Add", product, self.weight(f"{path}.bias"))

    def layer_norm(self, x: str, path: str, eps: float) -> str:
        return self.op(
            "LayerNormalization", x, self.weight(f"{path}.weight"), self.weight(f"{path}.bias"), axis=-1, epsilon=eps
        )

    def gelu(self, x: str) -> str:
        erf = self.op("Erf", self.op("Mul", x, self.constant(0.5**0.5)))
        half = self.op("Mul", x, self.constant(0.5))
        return self.op("Mul", half, self.op("Add", erf, self.constant(1.0)))

    def write(self, path: Path, outputs: dict[str, tuple[str, list]]) -> None:
        """`outputs` maps the public name to (value, shape)."""
        for public, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [public]))
        pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, "height", "width"])
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()]
        graph = helper.make_graph(self.nodes, path.parent.name, [pixels], results, list(self.initialisers.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        path.write_bytes(model.SerializeToString(deterministic=True))
        onnx.checker.check_model(str(path))


def efficientnet(graph: Graph, eps: float, stages: tuple[int, ...], strides: tuple[int, ...]) -> dict:
    """timm's `tf_efficientnet_lite0`; SAME_UPPER is TensorFlow's 'same'."""

    def conv(x: str, path: str, norm: str, stride: int = 1, relu6: bool = True) -> str:
        name = f"{path}.weight"
        kernel = graph.shape(name)[2:]
        groups = graph.shape(name)[0] if graph.shape(name)[1] == 1 else 1
        x = graph.op(
            "Conv", x, graph.weight(name), kernel_shape=kernel, strides=[stride] * 2, group=groups, auto_pad="SAME_UPPER"
        )
        stats = [graph.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        x = graph.op("BatchNormalization", x, *stats, epsilon=eps)
        return graph.op("Clip", x, graph.constant(0.0), graph.constant(6.0)) if relu6 else x

    x = conv("pixel_values", "conv_stem", "bn1", 2)
    for stage, blocks in enumerate(stages):
        for block in range(blocks):
            path, stride = f"blocks.{stage}.{block}", strides[stage] if block == 0 else 1
            if stage == 0:
                x = conv(x, f"{path}.conv_dw", f"{path}.bn1", stride)
                x = conv(x, f"{path}.conv_pw", f"{path}.bn2", relu6=False)
                continue
            y = conv(x, f"{path}.conv_pw", f"{path}.bn1")
            y = conv(y, f"{path}.conv_dw", f"{path}.bn2", stride)
            y = conv(y, f"{path}.conv_pwl", f"{path}.bn3", relu6=False)
            x = graph.op("Add", x, y) if block > 0 else y
    x = conv(x, "conv_head", "bn2")
    pooled = graph.op("Flatten", graph.op("GlobalAveragePool", x), axis=1)
    return {"features": (pooled, ["n", graph.shape("conv_head.weight")[0]])}


def embeddings(graph: Graph, path: str, width: int, patch: int) -> str:
    """Class token and patches, plus positions resampled (bicubic, a = -0.75) to the image's grid."""
    x = graph.op(
        "Conv",
        "pixel_values",
        graph.weight(f"{path}.patch_embeddings.projection.weight"),
        graph.weight(f"{path}.patch_embeddings.projection.bias"),
        kernel_shape=[patch] * 2,
        strides=[patch] * 2,
    )
    grid = graph.op("Slice", graph.op("Shape", x), graph.constant([2], np.int64), graph.constant([4], np.int64))
    count = graph.op("Slice", graph.op("Shape", x), graph.constant([0], np.int64), graph.constant([1], np.int64))
    flat = graph.op("Reshape", x, graph.constant([0, width, -1], np.int64))
    tokens = graph.op("Transpose", flat, perm=[0, 2, 1])
    one = graph.constant([1], np.int64)
    wide = graph.constant([width], np.int64)
    first = graph.op("Expand", graph.weight(f"{path}.cls_token"), graph.op("Concat", count, one, wide, axis=0))
    tokens = graph.op("Concat", first, tokens, axis=1)

    table = graph.weight(f"{path}.position_embeddings")
    positions = graph.shape(f"{path}.position_embeddings")[1]
    side = round((positions - 1) ** 0.5)
    axis = graph.constant([1], np.int64)
    head = graph.op("Slice", table, graph.constant([0], np.int64), graph.constant([1], np.int64), axis)
    rest = graph.op("Slice", table, graph.constant([1], np.int64), graph.constant([positions], np.int64), axis)
    rest = graph.op("Reshape", graph.op("Transpose", rest, perm=[0, 2, 1]), graph.constant([1, width, side, side], np.int64))
    sizes = graph.op("Concat", one, wide, grid, axis=0)
    rest = graph.op(
        "Resize", rest, "", "", sizes, mode="cubic", cubic_coeff_a=-0.75, coordinate_transformation_mode="half_pixel"
    )
    rest = graph.op("Transpose", graph.op("Reshape", rest, graph.constant([1, width, -1], np.int64)), perm=[0, 2, 1])
    return graph.op("Add", tokens, graph.op("Concat", head, rest, axis=1))


def attention(graph: Graph, x: str, path: str, heads: int, width: int) -> str:
    split = graph.constant([0, -1, heads, width // heads], np.int64)

    def part(name: str, perm: list[int]) -> str:
        projected = graph.linear(x, f"{path}.attention.{name}")
        return graph.op("Transpose", graph.op("Reshape", projected, split), perm=perm)

    query, key, value = part("query", [0, 2, 1, 3]), part("key", [0, 2, 3, 1]), part("value", [0, 2, 1, 3])
    scores = graph.op("Mul", graph.op("MatMul", query, key), graph.constant((width // heads) ** -0.5))
    mixed = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value)
    joined = graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), graph.constant([0, -1, width], np.int64))
    return graph.linear(joined, f"{path}.output.dense")


def transformer(graph: Graph, config: dict) -> dict:
    """Hugging Face's ViT and DINOv2 (without registers and gated MLP), names as on disk."""
    family, width, heads, eps = (config[k] for k in ("model_type", "hidden_size", "num_attention_heads", "layer_norm_eps"))
    dino = family == "dinov2"
    x = embeddings(graph, f"{family}.embeddings", width, config["patch_size"])
    for layer in range(config["num_hidden_layers"]):
        path = f"{family}.encoder.layer.{layer}"
        y = graph.layer_norm(x, f"{path}.norm1" if dino else f"{path}.layernorm_before", eps)
        y = attention(graph, y, f"{path}.attention", heads, width)
        y = graph.op("Mul", y, graph.weight(f"{path}.layer_scale1.lambda1")) if dino else y
        x = graph.op("Add", x, y)
        y = graph.layer_norm(x, f"{path}.norm2" if dino else f"{path}.layernorm_after", eps)
        y = graph.gelu(graph.linear(y, f"{path}.mlp.fc1" if dino else f"{path}.intermediate.dense"))
        y = graph.linear(y, f"{path}.mlp.fc2" if dino else f"{path}.output.dense")
        y = graph.op("Mul", y, graph.weight(f"{path}.layer_scale2.lambda1")) if dino else y
        x = graph.op("Add", x, y)
    x = graph.layer_norm(x, f"{family}.layernorm", eps)
    token = graph.op("Gather", x, graph.constant(0, np.int64), axis=1)
    features = token
    if dino:
        axis, end = graph.constant([1], np.int64), graph.constant([2**31 - 1], np.int64)
        patches = graph.op("Slice", x, axis, end, axis)
        features = graph.op("Concat", token, graph.op("ReduceMean", patches, axes=[1], keepdims=0), axis=1)
    return {
        "features": (features, ["n", width * (2 if dino else 1)]),
        "last_hidden_state": (x, ["n", "tokens", width]),
    }


def write_graph(folder: Path) -> Path:
    """Write `folder/model.onnx` from `config.json` and the header of `model.safetensors`; ValueError for other families."""
    config = json.loads((folder / "config.json").read_text())
    graph = Graph(folder / WEIGHTS_FILE)
    if config.get("architecture") == "tf_efficientnet_lite0":
        outputs = efficientnet(graph, config["batch_norm_eps"], (1, 2, 2, 3, 3, 4, 1), (1, 2, 2, 2, 1, 2, 1))
    elif config["model_type"] in ("vit", "dinov2") and not config.get("use_swiglu_ffn"):
        outputs = transformer(graph, config)
    else:
        raise ValueError(f"No ONNX graph is known for {config['model_type']} as configured in {folder}.")
    path = folder / "model.onnx"
    graph.write(path, outputs)
    return path


def run_graph(folder: Path, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every output of the folder's graph in ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {"pixel_values": pixels.numpy()})
    return {name: torch.from_numpy(value) for name, value in zip(names, values)}
