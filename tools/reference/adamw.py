"""Trajectories of torch.optim.AdamW on a small vector, with and without clipping by global norm."""

import torch

from common import FIXTURES, generator, write_json

STEPS = 10
RUNS = (
    {"name": "plain", "lr": 1e-2, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "max_norm": 0.0},
    {"name": "clipped", "lr": 3e-3, "betas": [0.9, 0.98], "eps": 1e-6, "weight_decay": 0.1, "max_norm": 0.5},
)


def trajectory(run: dict) -> dict:
    """Two leaves in float64 (so that the formula is compared, not a rounding), gradients given for each step."""
    source = generator(11)
    leaves = [torch.randn(n, generator=source, dtype=torch.float64).requires_grad_() for n in (5, 3)]
    start = [leaf.tolist() for leaf in leaves]
    optimiser = torch.optim.AdamW(leaves, lr=run["lr"], betas=tuple(run["betas"]), eps=run["eps"], weight_decay=run["weight_decay"])
    steps = []
    for _ in range(STEPS):
        for leaf in leaves:
            leaf.grad = torch.randn(leaf.shape, generator=source, dtype=torch.float64)
        gradients = [leaf.grad.tolist() for leaf in leaves]
        limit = run["max_norm"] if run["max_norm"] > 0 else float("inf")
        norm = torch.nn.utils.clip_grad_norm_(leaves, limit).item()
        optimiser.step()
        steps.append({"gradients": gradients, "grad_norm": norm, "values": [leaf.tolist() for leaf in leaves]})
    return {**run, "start": start, "steps": steps}


def write() -> None:
    write_json(FIXTURES / "adamw.json", {"runs": [trajectory(run) for run in RUNS]})
    print(f"adamw: {len(RUNS)} runs of {STEPS} steps")
