"""Twenty steps on vit-tiny of PEFT's low-rank methods beside LoRA: start, losses, end. The loss curves that ours follow."""

import os
import tempfile
import warnings

import torch
from peft import AdaLoraConfig, LoraConfig, PeftModel, VeraConfig, get_peft_model
from peft.tuners.lora.config import CordaConfig
from peft.tuners.lora.corda import preprocess_corda

from checkpoints import vit_tiny
from common import FIXTURES, ROOT, generator, write_json, write_tensors
from peft_lora import SETTINGS, read_images, save_adapter

SHARED = {"target_modules": SETTINGS["target_modules"], "modules_to_save": ["classifier"]}
LORA = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, **SHARED}
STEPS = SETTINGS["steps"]


def base():
    model = vit_tiny()
    # PEFT writes this into the adapter: the folder as seen from the repository's root.
    model.name_or_path = model.config._name_or_path = "tools/reference/fixtures/vit-tiny"
    return model


def moved(adapter: PeftModel, prefix: str) -> PeftModel:
    """The adapter with the parameters of that prefix away from their start, so that every gradient flows at once."""
    source = generator(77)
    with torch.no_grad():
        for name, value in adapter.named_parameters():
            if prefix in name and value.requires_grad and "magnitude" not in name:
                value.add_(torch.randn(value.shape, generator=source) * 0.15)
    return adapter


def dora() -> PeftModel:
    return moved(get_peft_model(base(), LoraConfig(use_dora=True, use_rslora=True, **LORA)), "lora_")


def pissa() -> PeftModel:
    return get_peft_model(base(), LoraConfig(init_lora_weights="pissa", **LORA))


def second_moments(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Of each target's inputs over all images and tokens, brought to a mean diagonal of 1."""
    found: dict[str, torch.Tensor] = {}

    def watch(name: str):
        def hook(_, inputs):
            x = inputs[0].detach().double().flatten(0, -2)
            moment = x.T @ x / len(x)
            found[name] = (moment / moment.diagonal().mean()).float()

        return hook

    hooks = [
        module.register_forward_pre_hook(watch(name))
        for name, module in model.named_modules()
        if name.split(".")[-1] in SHARED["target_modules"]
    ]
    with torch.no_grad():
        model(pixel_values=read_images()[0])
    for hook in hooks:
        hook.remove()
    return found


def corda(mode: str) -> PeftModel:
    model = base()
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "moments.pt")
        torch.save(second_moments(model), file)
        config = LoraConfig(
            init_lora_weights="corda", corda_config=CordaConfig(covariance_file=file, corda_method=mode, verbose=False), **LORA
        )
        preprocess_corda(model, config)
        return get_peft_model(model, config)


def vera() -> PeftModel:
    return moved(get_peft_model(base(), VeraConfig(r=8, d_initial=0.1, **SHARED)), "vera_lambda_b")


def adalora() -> PeftModel:
    config = AdaLoraConfig(
        init_r=4,
        target_r=2,
        lora_alpha=8,
        tinit=4,
        tfinal=6,
        total_step=STEPS,
        deltaT=2,
        beta1=0.85,
        beta2=0.85,
        orth_reg_weight=0.5,
        **SHARED,
    )
    return moved(get_peft_model(base(), config), "lora_")


#: The adapter, and whether its start is written: the starts from weights are found anew by each side.
METHODS = {
    "dora": (dora, True),
    "pissa": (pissa, False),
    "corda-ipm": (lambda: corda("ipm"), False),
    "corda-kpm": (lambda: corda("kpm"), False),
    "vera": (vera, True),
    "adalora": (adalora, True),
}


def train(adapter: PeftModel, weight_decay: float = SETTINGS["weight_decay"]) -> dict[str, torch.Tensor]:
    pixels, labels, _ = read_images()
    leaves = [p for p in adapter.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        leaves, lr=SETTINGS["lr"], betas=tuple(SETTINGS["betas"]), eps=SETTINGS["eps"], weight_decay=weight_decay
    )
    losses, norms = [], []
    for step in range(STEPS):
        rows = torch.arange(step * SETTINGS["batch"], (step + 1) * SETTINGS["batch"]) % len(labels)
        # Given the labels, AdaLoRA adds its penalty to the loss; a PeftModel without a task passes it by.
        loss = adapter.base_model(pixel_values=pixels[rows], labels=labels[rows]).loss
        optimiser.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(leaves, float("inf")))
        optimiser.step()
        if hasattr(adapter.base_model, "update_and_allocate"):
            adapter.base_model.update_and_allocate(step + 1)
        losses.append(loss.detach())
    adapter.eval()
    with torch.no_grad():
        last = adapter(pixel_values=pixels).logits
    return {"losses": torch.stack(losses), "grad_norms": torch.stack(norms), "final_logits": last}


def write(methods=METHODS) -> None:
    os.chdir(ROOT)
    warnings.simplefilter("ignore")
    for name, (make, with_start, *options) in methods.items():
        folder = FIXTURES / f"peft-vit-{name}"
        torch.manual_seed(0)
        adapter = make()
        if with_start:
            save_adapter(adapter, folder / "init")
        found = train(adapter, *options)
        if with_start:
            save_adapter(adapter, folder / "final")
        write_tensors(folder / "expected.safetensors", found)
        losses = found["losses"].tolist()
        print(f"{folder.name}: loss {losses[0]:.4f} to {losses[-1]:.4f} in {len(losses)} steps")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write()
