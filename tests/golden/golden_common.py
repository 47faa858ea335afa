"""Shared by the scripts that make golden data: library versions, deterministic set-up, files."""

import json
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch  # noqa: E402


def allow_mismatched_torchvision():
    """Let timm and transformers import beside a torchvision whose C++ operators do not load.

    PyPI's torchvision registers fake kernels for operators that the CPU build of torch does not
    have and fails on import. Nothing here calls those operators.
    """
    real = torch.library.register_fake

    def register_fake(op, *args, **kwargs):
        if isinstance(op, str) and op.startswith("torchvision::"):
            return lambda function: function
        return real(op, *args, **kwargs)

    torch.library.register_fake = register_fake


allow_mismatched_torchvision()
torch.set_num_threads(1)
torch.manual_seed(0)

PACKAGES = (
    "torch",
    "timm",
    "transformers",
    "safetensors",
    "huggingface_hub",
    "numpy",
    "pillow",
    "scikit-image",
)


def versions(packages=PACKAGES):
    found = {"python": platform.python_version()}
    for package in packages:
        found[package] = metadata.version(package)
    return found


def write_versions(folder, packages=PACKAGES):
    write_json(Path(folder) / "versions.json", versions(packages))


def write_json(path, value, indent=2):
    text = json.dumps(value, indent=indent, ensure_ascii=True)
    Path(path).write_text(text + "\n", encoding="utf-8")


def write_index(folder, names):
    Path(folder, "index.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def fresh_folder(path):
    path = Path(path)
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path
