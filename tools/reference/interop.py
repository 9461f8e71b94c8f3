"""Load what the studio exported with real PEFT and compare. Run by interop.mjs: `python interop.py jobs.json`.

Which checks run depends on the transformers that is installed: 5 reads the root of an adapter zip, 4 its folder
`transformers-4`. Each check prints one line that starts with "ok" or "FAIL".
"""

import csv
import json
import sys
import tempfile
import traceback
import warnings
import zipfile
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file

GENERATION = int(transformers.__version__.split(".")[0])
LOGIT_TOLERANCE = 1e-4
CURVE_TOLERANCE = 1e-3


class Report:
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def check(self, what: str, good: bool, figure: str) -> None:
        print(f"{'ok' if good else 'FAIL'} {self.prefix}: {what}: {figure}", flush=True)

    def close(self, what: str, found, expected, tolerance: float) -> None:
        """Largest difference over the largest expected magnitude."""
        found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        if found.shape != expected.shape:
            self.check(what, False, f"shapes {found.shape} and {expected.shape}")
            return
        error = np.abs(found - expected).max() / np.abs(expected).max()
        self.check(what, bool(error <= tolerance), f"{error:.1e} relative (allowed {tolerance:.0e})")


def processor(config: dict):
    """Hugging Face's image processor with Pillow's numerics, whichever generation is installed."""
    name = config["image_processor_type"]
    if GENERATION >= 5:
        from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
        from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

        return {"BitImageProcessor": BitImageProcessorPil, "ViTImageProcessor": ViTImageProcessorPil}[name](**config)
    return getattr(transformers, name)(**config)


def base_model(case: dict, classes: int) -> torch.nn.Module:
    if case["kind"] == "timm":
        import timm

        return timm.create_model(f"local-dir:{case['backbone']}", pretrained=True, num_classes=classes).eval()
    return transformers.AutoModelForImageClassification.from_pretrained(
        case["backbone"], num_labels=classes, ignore_mismatched_sizes=True
    ).eval()


@torch.no_grad()
def logits(model: torch.nn.Module, pixels: torch.Tensor) -> np.ndarray:
    out = model(pixels)
    return (out if isinstance(out, torch.Tensor) else out.logits).numpy()


def read_predictions(path: str) -> tuple[list[str], list[str], np.ndarray]:
    """Files, class names, logits [files, classes]."""
    with open(path, newline="") as file:
        header, *rows = list(csv.reader(file))
    if header[:2] != ["file", "label"]:
        raise ValueError(f"predictions.csv starts with the columns {header[:2]}")
    return [row[0] for row in rows], header[2:], np.array([[float(v) for v in row[2:]] for row in rows])


def read_pixels(images: Path, files: list[str], config: dict) -> torch.Tensor:
    """The files as the adapter's own preprocessor_config.json asks."""
    pictures = [Image.open(Path(f) if Path(f).is_absolute() else images / f).convert("RGB") for f in files]
    return processor(config)(pictures, return_tensors="pt")["pixel_values"]


def load_checked(report: Report, base: torch.nn.Module, folder: Path) -> PeftModel:
    """The adapter on `base`, every key accounted for."""
    model = get_peft_model(base, PeftConfig.from_pretrained(folder))
    stored = load_file(folder / "adapter_model.safetensors")
    # A copy: PEFT renames the keys of the dictionary that it is given.
    result = set_peft_model_state_dict(model, dict(stored))
    # With bias "all" PEFT counts the biases of its own wrappers around the head; the head itself is stored.
    wanted = {k for k in get_peft_model_state_dict(model) if ".modules_to_save." not in k and ".original_module." not in k}
    missing, unexpected = sorted(wanted - set(stored)), sorted(set(stored) - wanted)
    report.check("missing keys", not missing, f"{len(missing)} {' '.join(missing[:3])}".strip())
    report.check("unexpected keys", not unexpected, f"{len(unexpected)} {' '.join(unexpected[:3])}".strip())
    report.check("keys PEFT refused", not result.unexpected_keys, f"{len(result.unexpected_keys)}")
    return model.eval()


def check_adapter(report: Report, case: dict, images: Path, folder: Path, zip_root: Path) -> None:
    labels = json.loads((zip_root / "labels.json").read_text())
    files, classes, found = read_predictions(case["predictions"])
    folders = sorted({f.parent.name for f in images.glob("*/*.png")})
    report.check("labels.json, CSV columns, folders", labels == classes == folders, f"{len(labels)} classes in one order")
    report.check("predictions for every file", len(files) == len(list(images.glob("*/*.png"))), f"{len(files)}")
    if "type" in case:
        found_type = json.loads((folder / "adapter_config.json").read_text())["peft_type"]
        report.check("type", found_type == case["type"], found_type)
    config = json.loads((zip_root / "preprocessor_config.json").read_text())
    pixels = read_pixels(images, files, config)
    model = load_checked(report, base_model(case, len(labels)), folder)
    expected = logits(model, pixels)
    report.close("logits", found, expected, LOGIT_TOLERANCE)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        again = PeftModel.from_pretrained(base_model(case, len(labels)), folder).eval()
    usual = case.get("warns")
    spoken = [str(w.message) for w in heard if "peft" in str(w.filename)]
    spoken = [message for message in spoken if not usual or usual not in message]
    report.check("warnings of PEFT", not spoken, f"{len(spoken)} {' '.join(spoken)[:200]}".strip())
    report.close("logits by PeftModel.from_pretrained", found, logits(again, pixels), LOGIT_TOLERANCE)
    if case.get("loose"):
        return
    with again.disable_adapter():
        moved = np.abs(logits(again, pixels) - expected).max() / np.abs(expected).max()
    report.check("the adapter changes the logits", moved > 1e-2, f"{moved:.1e} relative")


def check_text(report: Report, case: dict, folder: Path) -> None:
    """The adapter of a base that reads texts, with the tokenizer that came along."""
    labels = json.loads((folder / "labels.json").read_text())
    _, classes, found = read_predictions(case["predictions"])
    report.check("labels.json and CSV columns", labels == classes, f"{len(labels)} classes in one order")
    with open(case["data"], newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    report.check("predictions for every text", len(texts) == len(found), f"{len(found)}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    length = json.loads((folder / "run.json").read_text())["settings"]["max_length"]
    inputs = tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")

    def base() -> torch.nn.Module:
        return transformers.BertForSequenceClassification.from_pretrained(
            case["backbone"], num_labels=len(labels), ignore_mismatched_sizes=True
        ).eval()

    with torch.no_grad():
        report.close("logits", found, load_checked(report, base(), folder)(**inputs).logits, LOGIT_TOLERANCE)
        again = PeftModel.from_pretrained(base(), folder).eval()
        report.close("logits by PeftModel.from_pretrained", found, again(**inputs).logits, LOGIT_TOLERANCE)
        with again.disable_adapter():
            moved = np.abs(again(**inputs).logits.numpy() - found).max() / np.abs(found).max()
    report.check("the adapter changes the logits", moved > 1e-2, f"{moved:.1e} relative")


def check_merged(report: Report, case: dict, images: Path) -> None:
    """The merged model as its library loads it, without PEFT."""
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(case["merged"]).extractall(folder)
        root = Path(folder)
        files, classes, found = read_predictions(case["predictions"])
        labels = json.loads((root / "labels.json").read_text())
        report.check("labels of the merged model", labels == classes, f"{len(labels)}")
        config = json.loads((root / "preprocessor_config.json").read_text())
        pixels = read_pixels(images, files, config)
        if case["kind"] == "timm":
            import timm

            model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        else:
            model, told = transformers.AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
            # DINOv2's mask token is for pre-training; files of other makers may lack it too.
            missing = [key for key in told["missing_keys"] if not key.endswith("mask_token")]
            report.check("keys that the merged model lacks", not missing, f"{len(missing)} {' '.join(missing[:3])}".strip())
            extra = sorted(told["unexpected_keys"])
            report.check("keys that it has beside", not extra, f"{len(extra)} {' '.join(extra[:3])}".strip())
            names = [model.config.id2label[i] for i in range(len(labels))]
            report.check("names in its configuration", names == labels, f"{len(names)}")
        report.close("logits of the merged model", found, logits(model.eval(), pixels), LOGIT_TOLERANCE)


def check_parity(report: Report, case: dict, folder: Path) -> None:
    """Loss curve, final logits and adapter against the run that PEFT made (tools/reference/peft_lora.py)."""
    reference = Path(case["parity"])
    expected = load_file(reference / "expected.safetensors")
    log = [json.loads(line) for line in Path(case["log"]).read_text().splitlines() if line.strip()]
    steps = [row for row in log if "step" in row and "loss" in row]
    count = len(expected["losses"])
    report.check("steps in the log", [r["step"] for r in steps] == list(range(1, count + 1)), f"{len(steps)} of {count}")
    for name, key in (("loss curve", "losses"), ("gradient norms", "grad_norms")):
        values = np.array([row["loss" if key == "losses" else "grad_norm"] for row in steps])
        ours, theirs = values, expected[key].double().numpy()
        if ours.shape != theirs.shape:
            report.check(name, False, f"{len(ours)} values for {len(theirs)}")
            continue
        error = np.abs(ours / theirs - 1).max()
        report.check(name, bool(error <= CURVE_TOLERANCE), f"{error:.1e} relative at worst (allowed {CURVE_TOLERANCE:.0e})")
    order = json.loads((reference / "settings.json").read_text())["files"]
    for what, path, tolerance in (
        ("logits after 20 steps", case["predictions"], CURVE_TOLERANCE),
        ("PEFT's own adapter read by the studio", case["imported"], LOGIT_TOLERANCE),
    ):
        files, _, found = read_predictions(path)
        rows = [next(i for i, f in enumerate(files) if f.replace("\\", "/").endswith(name)) for name in order]
        report.close(what, found[rows], expected["final_logits"], tolerance)
    ours, theirs = (products(f) for f in (folder, reference / "final"))
    for name in sorted(theirs):
        report.close(f"update of {name}", ours.get(name, np.zeros(0)), theirs[name], 1e-2)


def products(folder: Path) -> dict[str, np.ndarray]:
    """alpha / r x B A of every module, which does not depend on how the scale was folded."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    scale = config["lora_alpha"] / config["r"]
    return {
        key.removesuffix(".lora_A.weight").removeprefix("base_model.model."): scale
        * (tensors[key.replace("lora_A", "lora_B")] @ tensors[key]).numpy()
        for key in tensors
        if key.endswith(".lora_A.weight")
    }


def run_case(case: dict, images: Path) -> None:
    report = Report(f"[transformers {transformers.__version__}, peft {peft.__version__}] {case['name']}")
    if "error" in case:
        report.check("the studio", False, case["error"])
        return
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(case["adapter"]).extractall(folder)
        root = Path(folder)
        if GENERATION >= 5:
            reads = "tokenizer.json" if case["kind"] == "text" else "preprocessor_config.json"
            files = ("README.md", "labels.json", reads, "adapter_config.json")
            absent = [f for f in files if not (root / f).is_file()]
            report.check("files in the zip", not absent, " ".join(absent) or "all there")
        if case["kind"] == "text":
            check_text(report, case, root)
            return
        adapter = root if GENERATION >= 5 or not (root / "transformers-4").is_dir() else root / "transformers-4"
        check_adapter(report, case, images, adapter, root)
        if "merged" in case:
            check_merged(report, case, images)
        if GENERATION >= 5 and "parity" in case:
            check_parity(report, case, adapter)


def main() -> None:
    warnings.simplefilter("ignore", FutureWarning)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    jobs = json.loads(Path(sys.argv[1]).read_text())
    for case in jobs["cases"]:
        if GENERATION < 5 and (case["kind"] == "timm" or case.get("newest")):
            continue
        try:
            run_case(case, Path(jobs["images"]))
        except Exception:
            print(f"FAIL {case['name']} (transformers {transformers.__version__}):\n{traceback.format_exc()}", flush=True)


if __name__ == "__main__":
    main()
