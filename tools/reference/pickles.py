"""Tiny files by `torch.save` in both of its formats, with what they hold as safetensors beside them."""

from collections import OrderedDict

import torch
from safetensors.torch import save_file

from common import FIXTURES, generator

FOLDER = FIXTURES / "pickles"


def tensors() -> dict[str, torch.Tensor]:
    g = generator(77)
    base = torch.randn(4, 6, generator=g)
    whole = torch.arange(-6, 6)
    return {
        "plain": base,
        # Views of one storage: turned, cut from the middle, every other column, one row over and over.
        "turned": base.T,
        "band": base[1:3],
        "columns": base[:, 1::2],
        "repeated": base[:1].expand(3, 6),
        "alias": base,
        "half": torch.randn(5, generator=g).half(),
        "brain": torch.randn(3, 3, generator=g).bfloat16(),
        "double": torch.randn(2, generator=g).double(),
        "scalar": torch.tensor(1.5),
        "empty": torch.zeros(0, 4),
        "long": whole.clone(),
        "int": whole.int(),
        "short": whole.short(),
        "char": whole.to(torch.int8),
        "byte": whole.abs().byte(),
        "bool": whole > 0,
        "parameter": torch.nn.Parameter(torch.randn(2, 2, generator=g)),
    }


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    named = OrderedDict(tensors())
    # What `Module.state_dict()` adds to the dictionary.
    named._metadata = {"": {"version": 1}}
    torch.save(named, FOLDER / "zip.pt")
    torch.save(named, FOLDER / "plain.pt", _use_new_zipfile_serialization=False)
    training = {"epoch": 3, "lr": 1e-3, "names": ["a", ("b", None)], "state_dict": {"w": torch.ones(2, 2)}}
    torch.save(training, FOLDER / "training.pt")
    torch.save(torch.nn.Linear(2, 2), FOLDER / "module.pt")
    save_file({k: v.detach().contiguous().clone() for k, v in named.items()}, FOLDER / "expected.safetensors")


if __name__ == "__main__":
    write()
