#!/usr/bin/env python3
"""train_worker.py CONTENDER PRECISION THREADS FOLDER BATCH - PyTorch, asked by lines.

Loads the timm model of FOLDER (train_models.py), says `ready` with a description, and answers what
bench/train_server.c answers:

    gradients PATH      the gradients of the first batch's mean loss, to PATH and PATH.names
                        (train_common.py); one line: the loss
    run STEPS SECONDS   as many steps as fit, at least STEPS; two lines: the milliseconds of each
                        step, and the loss of each before it

until standard input ends. A step is that of a usual training loop with the batch in memory: gradients
set to none, forward (bf16: under autocast), cross-entropy, backward, AdamW.
"""

import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = sys.argv[3]  # before any library reads it

import bench_common  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from train_common import write_gradients  # noqa: E402

RATE = 1e-3
DECAY = 0.05


def make_optimizer(model):
    """Decay of matrices only, which is vitc's default; fused: one pass over all, the fastest."""
    groups = {DECAY: [], 0.0: []}
    for name, parameter in model.named_parameters():
        matrix = parameter.ndim > 1 and name not in ("cls_token", "pos_embed")
        groups[DECAY if matrix else 0.0].append(parameter)
    return torch.optim.AdamW(
        [{"params": found, "weight_decay": decay} for decay, found in groups.items()],
        lr=RATE,
        fused=True,
    )


class Training:
    def __init__(self, folder, batch, bf16, compiled):
        self.model = bench_common.load_timm_model(folder / "timm").train()
        # One compilation, for this batch size.
        self.forward = torch.compile(self.model, dynamic=False) if compiled else self.model
        self.bf16 = bf16
        self.optimizer = make_optimizer(self.model)
        side = self.model.patch_embed.img_size[0]
        images = numpy.fromfile(folder / "images.f32", numpy.float32).reshape(-1, 3, side, side)
        self.images = torch.from_numpy(images).split(batch)
        self.labels = (torch.arange(len(images)) % self.model.num_classes).split(batch)
        self.steps = 0

    def run_pass(self):
        number = self.steps % len(self.images)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits = self.forward(self.images[number])
            loss = torch.nn.functional.cross_entropy(logits, self.labels[number])
        loss.backward()
        return loss

    def step(self):
        loss = self.run_pass()
        self.optimizer.step()
        self.steps += 1
        return loss.item()

    def run(self, least, seconds):
        times, losses = [], []
        begin = now = time.perf_counter()
        while len(times) < least or now - begin < seconds:
            losses.append(self.step())
            end = time.perf_counter()
            times.append(1e3 * (end - now))
            now = end
        print(*(f"{value:.4f}" for value in times))
        print(*(f"{value:.6f}" for value in losses))

    def gradients(self, path):
        loss = self.run_pass()
        write_gradients(
            path, ((name, value.grad.numpy()) for name, value in self.model.named_parameters())
        )
        print(f"{loss.item():.6f}")


def main():
    contender, precision, threads, folder, batch = sys.argv[1:]
    torch.set_num_threads(int(threads))
    compiled = contender == "pytorch-compiled"
    training = Training(Path(folder), int(batch), precision == "bf16", compiled)
    how = "torch.compile" if compiled else "eager"
    autocast = ", bf16 autocast" if precision == "bf16" else ""
    print(f"ready {how}{autocast}, fused AdamW", flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "run":
            training.run(int(arguments[0]), float(arguments[1]))
        elif command == "gradients":
            training.gradients(arguments[0])
        else:
            raise ValueError(f"unknown command: {line}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
