#!/usr/bin/env python3
"""peer_models.py WORK ARCHITECTURE... - the same random weights in every form that is compared.

Writes WORK/<architecture>/:

    timm/               config.json and model.safetensors; vitc and PyTorch load it
    model.onnx          float32, any batch; ONNX Runtime and OpenVINO load it
    model_int8.onnx     ONNX Runtime's dynamic quantization of it
    openvino_int8.xml   NNCF's quantization of it for transformers, with .bin
    logits.json         PyTorch's float32 logits of the photographs: what all must agree with

and WORK/photos.f32, the 16 photographs of tests/golden as one float32 tensor [16, 3, 224, 224], and
WORK/photo.jpg, 500x375, for cold starts. bench/peers.py runs this where a model is missing or was
made by other versions.
"""

import json
import sys
from pathlib import Path

from bench_common import list_photos, load_timm_model, open_photo, save_timm_model, timm_preprocess
from golden_common import fresh_folder, write_json

import nncf
import openvino
import timm
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from PIL import ImageOps

OPSET = 17
CALIBRATION_IMAGES = 32  # crops of the photographs, for NNCF's ranges of activations
JPEG_SIZE = (500, 375)
JPEG_QUALITY = 90


def photo_tensor(model):
    preprocess = timm_preprocess(model)
    return torch.stack([preprocess(open_photo(path)) for path in list_photos()])


def calibration_images(photos):
    """Shifted and mirrored photographs: near what the model will see, but none of it."""
    random = torch.Generator().manual_seed(0)
    for number in range(CALIBRATION_IMAGES):
        shift = torch.randint(16, 208, (2,), generator=random).tolist()
        photo = photos[number % len(photos)].flip(-1)
        yield photo.roll(shift, (-2, -1))[None].numpy()


def export_onnx(folder, path, photos):
    # Attention as separate products: the form that all versions of both runtimes recognize.
    timm.layers.set_fused_attn(False)
    model = load_timm_model(folder, exportable=True)
    torch.onnx.export(
        model,
        (photos[:1],),
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=["pixels"],
        output_names=["logits"],
        dynamic_axes={"pixels": {0: "batch"}, "logits": {0: "batch"}},
    )
    timm.layers.set_fused_attn(True)


def quantize_onnx(source, path):
    quantize_dynamic(
        str(source),
        str(path),
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm"],
    )


def quantize_openvino(source, path, photos):
    quantized = nncf.quantize(
        openvino.Core().read_model(str(source)),
        nncf.Dataset(list(calibration_images(photos))),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=CALIBRATION_IMAGES,
    )
    openvino.save_model(quantized, str(path), compress_to_fp16=False)


def write_photo(path):
    photo = ImageOps.fit(open_photo(list_photos()[0]), JPEG_SIZE)
    photo.save(path, quality=JPEG_QUALITY)


def make(work, architecture):
    folder = fresh_folder(work / architecture)
    save_timm_model(folder / "timm", architecture, architecture)
    model = load_timm_model(folder / "timm")
    photos = photo_tensor(model)
    photos.numpy().tofile(work / "photos.f32")
    with torch.inference_mode():
        logits = torch.cat([model(photo[None]) for photo in photos])
    write_json(folder / "logits.json", logits.tolist(), indent=None)

    export_onnx(folder / "timm", folder / "model.onnx", photos)
    quantize_onnx(folder / "model.onnx", folder / "model_int8.onnx")
    quantize_openvino(folder / "model.onnx", folder / "openvino_int8.xml", photos)


def main():
    work = Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    write_photo(work / "photo.jpg")
    for architecture in sys.argv[2:]:
        make(work, architecture)
        print(json.dumps({"made": architecture}), flush=True)


if __name__ == "__main__":
    main()
