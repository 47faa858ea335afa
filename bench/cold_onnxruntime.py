#!/usr/bin/env python3
"""cold_onnxruntime.py MODEL.onnx PHOTO THREADS - what classifying one photograph with ONNX Runtime
from Python takes at least: the imports, Pillow, one session, one run, the five best classes."""

import sys

import numpy
import onnxruntime
from PIL import Image

SIDE = 224
CROP = 0.9  # timm's crop_pct of these models

model, photo, threads = sys.argv[1:]
image = Image.open(photo).convert("RGB")
scale = int(SIDE / CROP) / min(image.size)
image = image.resize([round(scale * side) for side in image.size], Image.Resampling.BICUBIC)
left, top = ((side - SIDE) // 2 for side in image.size)
image = image.crop((left, top, left + SIDE, top + SIDE))
pixels = numpy.asarray(image, numpy.float32).transpose(2, 0, 1)[None] / 127.5 - 1

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
(logits,) = session.run(None, {"pixels": pixels})[0]
for index in numpy.argsort(-logits)[:5]:
    print(index, logits[index])
