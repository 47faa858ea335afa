#!/usr/bin/env python3
"""peer_worker.py CONTENDER PRECISION THREADS FOLDER PHOTOS BATCH... - one peer, asked by lines.

Loads the model of FOLDER (peer_models.py) into PyTorch, ONNX Runtime or OpenVINO and says `ready`
with a description. Then, as bench/forward_server.c does for vitc, it answers

    logits BATCH        one line per photograph: its logits
    run BATCH SECONDS   one line: the milliseconds of as many forwards as fit, at least one

until standard input ends. Input and output of a forward are float32 arrays in memory, but for
PyTorch in bf16, whose input is bf16 already.
"""

import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = sys.argv[3]  # before any library reads it

import numpy  # noqa: E402

SIDE = 224


def pytorch(folder, precision, threads, _batches, compiled=False):
    from bench_common import load_timm_model
    import torch

    torch.set_num_threads(threads)
    model = load_timm_model(folder / "timm")
    kind = torch.float32
    how = "eager"
    if precision == "bf16":
        kind = torch.bfloat16
        model = model.to(kind)
    elif precision == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
        how = f"eager, quantize_dynamic of the linear layers, {torch.backends.quantized.engine}"
    if compiled:
        import torch._inductor.config

        torch._inductor.config.freezing = True
        # One compilation per batch size, as the other runtimes have it.
        model = torch.compile(model, dynamic=False)
        how = "torch.compile, frozen weights"

    def prepare(pixels):
        tensor = torch.from_numpy(pixels).to(kind)

        def forward():
            with torch.inference_mode():
                return model(tensor)

        return forward, lambda logits: logits.float().numpy()

    return prepare, how


def pytorch_compiled(*arguments):
    return pytorch(*arguments, compiled=True)


def onnxruntime(folder, precision, threads, _batches):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    name = "model_int8.onnx" if precision == "int8" else "model.onnx"
    session = onnxruntime.InferenceSession(
        str(folder / name), options, providers=["CPUExecutionProvider"]
    )

    def prepare(pixels):
        return (lambda: session.run(None, {"pixels": pixels})), lambda outputs: outputs[0]

    return prepare, "quantize_dynamic" if precision == "int8" else "default optimizations"


def openvino(folder, precision, threads, batches):
    import openvino

    core = openvino.Core()
    bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # What stays in floating point in the int8 model is bf16 where the CPU has it: OpenVINO's default.
    hint = "bf16" if precision == "bf16" or (precision == "int8" and bf16) else "f32"
    name = "openvino_int8.xml" if precision == "int8" else "model.onnx"
    requests = {}
    for batch in batches:
        model = core.read_model(str(folder / name))
        model.reshape([batch, 3, SIDE, SIDE])
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": hint,
        }
        requests[batch] = core.compile_model(model, "CPU", settings).create_infer_request()

    def prepare(pixels):
        request = requests[len(pixels)]

        def forward():
            return request.infer([pixels], share_inputs=True, share_outputs=True)

        return forward, lambda outputs: outputs[0]

    nncf = "NNCF, the rest in " if precision == "int8" else ""
    return prepare, f"static batch, latency hint, {nncf}{hint}"


CONTENDERS = {
    "pytorch": pytorch,
    "pytorch-compiled": pytorch_compiled,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
}


def answer(line, photos, prepare):
    command, batch, *seconds = line.split()
    batch = int(batch)
    if command == "logits":
        for first in range(0, len(photos), batch):
            forward, logits = prepare(photos[first : first + batch])
            for row in logits(forward()):
                print(*(f"{value:.9g}" for value in row.tolist()))
    elif command == "run":
        forward, _ = prepare(photos[:batch])
        times = []
        begin = now = time.perf_counter()
        while not times or now - begin < float(seconds[0]):
            forward()
            end = time.perf_counter()
            times.append(1e3 * (end - now))
            now = end
        print(*(f"{value:.4f}" for value in times))
    else:
        raise ValueError(f"unknown command: {line}")
    sys.stdout.flush()


def main():
    contender, precision, threads, folder, photos_path, *batches = sys.argv[1:]
    batches = [int(batch) for batch in batches]
    photos = numpy.fromfile(photos_path, numpy.float32).reshape(-1, 3, SIDE, SIDE)
    prepare, how = CONTENDERS[contender](Path(folder), precision, int(threads), batches)
    for batch in batches:  # what is compiled at the first call is compiled before `ready`
        prepare(photos[:batch])[0]()
    print("ready", how, flush=True)
    for line in sys.stdin:
        answer(line, photos, prepare)


if __name__ == "__main__":
    main()
