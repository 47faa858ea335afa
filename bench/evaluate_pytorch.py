#!/usr/bin/env python3
"""evaluate_pytorch.py MODEL SET CLASSES - a folder of class folders evaluated as timm's validate.py
does it: timm's dataset, transform and loader with two worker processes, then PyTorch.

MODEL is a timm directory, CLASSES a file of lines "class,#label". Writes what
bench/evaluate_common.py describes.
"""

import argparse
import os

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("set")
parser.add_argument("classes")
parser.add_argument("--precision", choices=("f32", "bf16", "int8"), default="f32")
parser.add_argument("--compiled", action="store_true")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--predictions", help="file to write: path,label of every image")
parser.add_argument("--logits", help="file to write: the logits of every image, JSON by path")
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # before any library reads it

from bench_common import load_timm_model  # noqa: E402
from evaluate_common import Evaluation, read_classes  # noqa: E402

import timm  # noqa: E402
import torch  # noqa: E402
from timm.data import ImageDataset, create_loader, resolve_data_config  # noqa: E402


def prepare(model):
    """(the model at the precision asked for, the type of its input)"""
    kind = torch.float32
    if arguments.precision == "bf16":
        kind = torch.bfloat16
        model = model.to(kind)
    elif arguments.precision == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    if arguments.compiled:
        from torch._inductor import config

        config.freezing = True
        model = torch.compile(model, dynamic=False)
    return model, kind


def main():
    torch.set_num_threads(arguments.threads)
    model = load_timm_model(arguments.model)
    config = resolve_data_config({}, model=model)
    model, kind = prepare(model)
    dataset = ImageDataset(arguments.set, class_map=read_classes(arguments.classes))
    loader = create_loader(
        dataset,
        input_size=config["input_size"],
        batch_size=arguments.batch,
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
        crop_pct=config["crop_pct"],
        crop_mode=config["crop_mode"],
        num_workers=arguments.workers,
        pin_memory=False,
        device=torch.device("cpu"),
        img_dtype=kind,
    )
    evaluation = Evaluation(dataset.filenames())
    with torch.inference_mode():
        for pixels, labels in loader:
            evaluation.add(model(pixels).float().numpy(), labels.numpy())
    evaluation.finish(arguments)


if __name__ == "__main__":
    main()
