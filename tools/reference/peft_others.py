"""Twenty steps on vit-tiny of PEFT's methods that are no LoRA: start, losses, end. The loss curves that ours follow."""

import torch
from peft import IA3Config, LNTuningConfig, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, PeftModel, get_peft_model

import peft_low_rank
from common import generator
from peft_low_rank import SHARED, base, moved

HEAD = {"modules_to_save": ["classifier"]}
NORMS = ["layernorm_before", "layernorm_after", "vit.layernorm"]


def ia3() -> PeftModel:
    config = IA3Config(target_modules=["k_proj", "v_proj", "fc2"], feedforward_modules=["fc2"], **HEAD)
    return moved(get_peft_model(base(), config), "ia3_l")


def loha() -> PeftModel:
    return moved(get_peft_model(base(), LoHaConfig(r=2, alpha=4, **SHARED)), "hada_")


def lokr() -> PeftModel:
    config = LoKrConfig(r=2, alpha=4, target_modules=["q_proj", "v_proj", "fc1"], **HEAD)
    return moved(get_peft_model(base(), config), "lokr_")


def lokr_both() -> PeftModel:
    """Both factors decomposed, blocks of eight."""
    config = LoKrConfig(
        r=1, alpha=2, decompose_both=True, decompose_factor=8, target_modules=["q_proj", "v_proj", "fc1"], **HEAD
    )
    return moved(get_peft_model(base(), config), "lokr_")


def oft() -> PeftModel:
    return moved(get_peft_model(base(), OFTConfig(oft_block_size=8, **SHARED)), "oft_R")


def oft_shared() -> PeftModel:
    """One block for all, the inverse computed exactly."""
    config = OFTConfig(oft_block_size=8, block_share=True, use_cayley_neumann=False, **SHARED)
    return moved(get_peft_model(base(), config), "oft_R")


def ln_tuning() -> PeftModel:
    return moved(get_peft_model(base(), LNTuningConfig(target_modules=NORMS, **HEAD)), "ln_tuning_")


def bitfit() -> PeftModel:
    """PEFT's way to train all biases: those of a LoRA, whose factors here stay at nothing."""
    model = get_peft_model(base(), LoraConfig(r=1, lora_alpha=1, bias="all", target_modules=["q_proj"], **HEAD))
    source = generator(77)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.zero_().requires_grad_(False)
            elif name.endswith(".bias") and "classifier" not in name:
                value.add_(torch.randn(value.shape, generator=source) * 0.15)
    return model


#: The adapter, whether its start is written, and the weight decay where it is another: norms and biases get none here.
METHODS = {
    "ia3": (ia3, True),
    "loha": (loha, True),
    "lokr": (lokr, True),
    "lokr-both": (lokr_both, True),
    "oft": (oft, True),
    "oft-shared": (oft_shared, True),
    "ln-tuning": (ln_tuning, True, 0.0),
    "bitfit": (bitfit, True, 0.0),
}


def write() -> None:
    peft_low_rank.write(METHODS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    write()
