"""Twenty steps on vit-tiny of PEFT's SHIRA: start, losses, end. The loss curve that ours follows."""

import torch
from peft import PeftModel, ShiraConfig, get_peft_model

import peft_low_rank
from peft_low_rank import SHARED, base, moved


def shira() -> PeftModel:
    return moved(get_peft_model(base(), ShiraConfig(r=2, random_seed=3, **SHARED)), "shira_weight")


METHODS = {"shira": (shira, True)}


def write() -> None:
    peft_low_rank.write(METHODS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    write()
