"""What the comparisons share: the photographs, and models with seeded random weights that vitc and
timm both load."""

import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))

import golden_common  # noqa: E402, F401  # lets timm be imported beside any torchvision

import timm  # noqa: E402
import torch  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402
from timm.models import save_for_hf  # noqa: E402

PHOTOS = ROOT / "tests" / "golden" / "photos"
PHOTO_COUNT = 16
NOT_PHOTOS = {".txt", ".json"}


def list_photos():
    photos = sorted(path for path in PHOTOS.iterdir() if path.suffix not in NOT_PHOTOS)
    if len(photos) < PHOTO_COUNT:
        sys.exit(f"{PHOTOS} holds {len(photos)} photos, not {PHOTO_COUNT}: run make_photos.py")
    return photos


def bundled_model():
    """The one file of models/ that is built into the program."""
    (path,) = (ROOT / "models").glob("*.safetensors")
    return path


def open_photo(path):
    """Upright (EXIF) and RGB, as vitc sees it."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def randomize(model, name):
    """Weights as large as trained ones have: activations keep their size from layer to layer.

    The libraries' own initialization has zero biases and logits near 0, which would hide errors.
    """
    random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    with torch.no_grad():
        for key, tensor in sorted(model.state_dict().items()):
            noise = torch.randn(tensor.shape, generator=random)
            if "norm" in key:
                value = 1 + 0.1 * noise if key.endswith("weight") else 0.05 * noise
            elif key.endswith("bias"):
                value = 0.05 * noise
            elif key.endswith("weight"):
                value = noise / tensor[0].numel() ** 0.5
            else:  # tokens and position embeddings
                value = 0.1 * noise
            tensor.copy_(value)
    return model.eval()


def save_timm_model(folder, architecture, name):
    """Random weights, seeded by `name`, of a timm architecture: config.json, model.safetensors."""
    model = randomize(timm.create_model(architecture, pretrained=False), name)
    save_for_hf(model, folder, safe_serialization=True)


def load_timm_model(folder, **options):
    return timm.create_model(f"local-dir:{folder}", pretrained=True, **options).eval()


def timm_preprocess(model):
    config = timm.data.resolve_data_config({}, model=model)
    return timm.data.create_transform(**config, is_training=False)
