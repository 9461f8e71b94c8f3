"""Writing of one backbone folder and of its manifest row."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from sources import ROOT, Source, sha256

WEIGHTS = ROOT / "models" / "weights"


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference over the largest expected magnitude."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def close(what: str, found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """Print how far two tensors are apart, relative to the largest value; raises ValueError past the tolerance."""
    error = relative(found, expected)
    print(f"  {what}: {error:.2e} (allowed {tolerance:.0e})")
    if not error <= tolerance:
        raise ValueError(f"{what}: relative difference {error:.2e} is over {tolerance:.0e}")


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_backbone(
    name: str,
    tensors: dict[str, torch.Tensor],
    config: dict,
    preprocessor: dict | None,
    *,
    title: str,
    description: str,
    source: Source,
    licence: str,
    script: str,
) -> dict:
    """Write `models/weights/<name>/` and return its manifest row, the sha256 of the files still to be filled in."""
    folder = WEIGHTS / name
    folder.mkdir(parents=True, exist_ok=True)
    # One metadata key only: with several, their order and so the file's bytes would vary from run to run.
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)
    if preprocessor is not None:
        write_json(folder / "preprocessor_config.json", preprocessor)
    (folder / "model.safetensors").chmod(0o644)
    for text in ("LICENSE", "NOTICE"):
        if not (folder / text).exists():
            raise FileNotFoundError(f"{folder / text} is written by hand and has to travel with the weights.")
    return {
        "name": name,
        "title": title,
        "description": description,
        "folder": name,
        "source": {"package": source.package, "kind": source.kind, "version": source.version, "sha256": source.sha256},
        "licence": licence,
        "parameters": sum(v.numel() for k, v in tensors.items() if "running_" not in k),
        "script": script,
    }


def with_files(row: dict) -> dict:
    """The row with the name, size in bytes and sha256 of every file in its folder."""
    files = sorted(f for f in (WEIGHTS / row["folder"]).iterdir() if f.is_file())
    listed = [{"file": f.name, "bytes": f.stat().st_size, "sha256": sha256(f)} for f in files]
    return {**row, "bytes": sum(f["bytes"] for f in listed), "files": listed}
