"""Emoji drawings as a data set: colour pictures of 32 px whose classes are the categories of npm's `emoji-datasource-twitter`.

The drawings are Twemoji (CC BY 4.0); the package is fetched by npm into `.cache/pretrain` and never enters the repository.
"""

import hashlib
import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "pretrain"
PACKAGE = "emoji-datasource-twitter"
VERSION = "16.0.0"
SHA256 = "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877"
SIDE = 32

# The class's number is its place in this list; the package's own "Component" (bare skin tones) is left out.
CLASSES = [
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
]
# Letters, digits, arrows and flags would be wrong in a mirror.
MIRRORED = [name not in ("Symbols", "Flags") for name in CLASSES]


class PackageError(Exception):
    """The package could not be had, or is not the one that was checked."""


@dataclass
class Emoji:
    """Pictures u8 [n, 3, 32, 32] on white, labels [n], weights [n] (a drawing's skin tones share one), names."""

    pictures: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    names: list[str]

    def take(self, keep: np.ndarray) -> "Emoji":
        index = torch.from_numpy(np.flatnonzero(keep))
        return Emoji(self.pictures[index], self.labels[index], self.weights[index], [self.names[i] for i in index])


def fetch() -> Path:
    """Folder of the unpacked package; npm downloads it where it is not there yet."""
    folder = CACHE / PACKAGE
    if (folder / "package" / "emoji.json").exists():
        return folder / "package"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    archive = folder / f"{PACKAGE}-{VERSION}.tgz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise PackageError(f"{archive} has sha256 {found}, expected {SHA256}. Delete it and run again.")
    with tarfile.open(archive) as tar:
        wanted = [m for m in tar if m.name == "package/emoji.json" or m.name.startswith("package/img/twitter/64/")]
        tar.extractall(folder, members=wanted, filter="data")
    return folder / "package"


def on_white(path: Path) -> np.ndarray:
    """The drawing over white at 32 px, u8 [3, 32, 32]; alpha is applied before it is made smaller."""
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    flat = Image.alpha_composite(white, picture).convert("RGB")
    return np.asarray(flat.resize((SIDE, SIDE), Image.Resampling.BOX)).transpose(2, 0, 1)


def held_out(name: str) -> bool:
    """One drawing in eight, by a hash of its name, so that all its skin tones fall on one side."""
    return hashlib.sha256(name.encode()).digest()[0] % 8 == 0


def load() -> tuple[Emoji, Emoji]:
    """The drawings to learn from, and those held out."""
    folder = fetch()
    pictures, labels, weights, names = [], [], [], []
    for entry in json.loads((folder / "emoji.json").read_text()):
        if entry["category"] not in CLASSES:
            continue
        forms = [entry, *entry.get("skin_variations", {}).values()]
        forms = [f for f in forms if f["has_img_twitter"]]
        for form in forms:
            pictures.append(on_white(folder / "img" / "twitter" / "64" / form["image"]))
            labels.append(CLASSES.index(entry["category"]))
            weights.append(1 / len(forms))
            names.append(entry["unified"])
    every = Emoji(torch.from_numpy(np.stack(pictures)), torch.tensor(labels), torch.tensor(weights), names)
    out = np.array([held_out(name) for name in names])
    return every.take(~out), every.take(out)
