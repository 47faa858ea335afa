"""RESULTS.md from results.json's content."""

import statistics
from collections import defaultdict

from bench_machine import BUSY_SHARE

NAMES = {
    "vitc": "vitc",
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "pytorch": "PyTorch",
    "pytorch-compiled": "PyTorch, compiled",
    "vit.cpp": "vit.cpp",
    "vit_base_patch16_224": "ViT-B/16",
    "vit_small_patch16_224": "ViT-S/16",
    "vit_tiny_patch16_224": "ViT-Ti/16",
}
DISTURBED = BUSY_SHARE


def name(key):
    return NAMES.get(key, key)


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def by_row(cells):
    """{(model, batch): {contender: cell}}, in order of appearance."""
    rows = defaultdict(dict)
    for cell in cells:
        rows[cell["model"], cell["batch"]][cell["contender"]] = cell
    return rows


def timing(cell):
    if cell is None:
        return ""
    mark = " *" if cell["others"] > DISTURBED else ""
    return f"{cell['ms_per_image']:.2f} ({cell['q1']:.2f}-{cell['q3']:.2f}){mark}"


def advantage(row):
    """How many times as fast as the fastest peer: median and range over the rounds, as a machine
    that changes its speed during a run changes it for both halves of a round."""
    peers = [cell for contender, cell in row.items() if contender != "vitc"]
    if "vitc" not in row or not peers:
        return ""
    best = min(peers, key=lambda cell: cell["ms_per_image"])
    ratios = [
        theirs / ours for theirs, ours in zip(best["round_medians"], row["vitc"]["round_medians"])
    ]
    return (
        f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f}) "
        f"{name(best['contender'])}"
    )


def contenders_of(cells):
    return list(dict.fromkeys(cell["contender"] for cell in cells))


def speed_section(precision, cells):
    contenders = contenders_of(cells)
    rows = [
        [name(model), batch, *(timing(row.get(c)) for c in contenders), advantage(row)]
        for (model, batch), row in by_row(cells).items()
    ]
    head = ["model", "batch", *map(name, contenders), "vitc against the fastest peer"]
    text = f"\n### {precision}\n\n" + table(head, rows) + "\n"
    for contender in contenders:
        hows = dict.fromkeys(cell["how"] for cell in cells if cell["contender"] == contender)
        text += f"- {name(contender)}: {'; '.join(hows)}\n"
    return text


def agreement_section(results):
    cells = results["cells"]
    contenders = contenders_of(cells)
    rows = []
    grouped = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        grouped[cell["precision"], cell["model"]][cell["contender"]].append(cell["agreement"])
    for (precision, model), row in grouped.items():
        found = []
        for contender in contenders:
            checks = row.get(contender, [])
            worst = max((check["relative"] for check in checks), default=None)
            same = min((check["same_top1"] for check in checks), default=0)
            found.append("" if worst is None else f"{worst:.1e}, {same}/{checks[0]['photos']}")
        rows.append([precision, name(model), f"{results['bounds'][precision]:.0e}", *found])
    return (
        "\n## Agreement\n\nLargest difference from PyTorch's float32 logits, as a share of the "
        "largest logit, and photographs with the same first class; the worse of the batch sizes. "
        "Random weights have no class that stands out, so the first class changes more easily "
        "than that of a trained model.\n\n"
        + table(["precision", "model", "bound", *map(name, contenders)], rows)
    )


def cold_section(rows):
    if not rows:
        return ""
    shown = [
        [
            name(row["contender"]),
            f"{row['ms']:.1f} ({row['q1']:.1f}-{row['q3']:.1f})",
            ("at most " if row["peak_is_bound"] else "") + f"{row['peak_mib']:.1f}",
        ]
        for row in rows
    ]
    return (
        "\n## Cold start\n\nThe whole process, from its start to the classes of one 500x375 JPEG, "
        "ViT-Ti/16 in float32; files in the page cache.\n\n"
        + table(["", "ms, median (quartiles)", "peak memory, MiB"], shown)
    )


def load_text(machine):
    if "load_average" not in machine:
        return ""
    return f"Load average at the start: {' '.join(map(str, machine['load_average']))}; "


def machine_section(results, settings):
    machine = results["machine"]
    lines = [
        f"- CPU: {machine['cpu']} (family/model {machine['family']}), {machine['cpus']} CPUs; "
        + " ".join(machine["features"]),
        f"- {machine['memory_gib']} GiB of memory; {machine['os']}, Linux {machine['kernel']}",
        f"- {load_text(machine)}{machine['date']}",
        "- Versions: " + ", ".join(f"{key} {value}" for key, value in results["versions"].items()),
        f"- {settings}",
    ]
    if machine["variables"]:
        lines.append(f"- Environment: {machine['variables']}")
    return "\n## Machine\n\n" + "".join(f"{line}\n" for line in lines)


def failure_section(failures):
    if not failures:
        return ""
    lines = [
        f"- {name(f['model'])} {f['precision']}, {name(f['contender'])}: {f['why']}\n"
        for f in failures
    ]
    return "\n## Not measured\n\n" + "".join(lines)


def settings_text(settings):
    return (
        f"{settings['threads']} threads each; {settings['rounds']} rounds of "
        f"{settings['warmup']} s warm-up and {settings['slice']} s of runs"
    )


def markdown(results):
    text = (
        "# vitc and its peers\n\nWritten by `bench/peers.py`; [README.md](README.md) says how and "
        "what was done to be fair.\n\n## Encoder\n\nMilliseconds per image, median and quartiles "
        "over all rounds, 224x224 pixels, from a normalized tensor to the logits.\n"
    )
    by_precision = defaultdict(list)
    for cell in results["cells"]:
        by_precision[cell["precision"]].append(cell)
    for precision, cells in by_precision.items():
        text += speed_section(precision, cells)
    if any(cell["others"] > DISTURBED for cell in results["cells"]):
        text += f"\n\\* others used more than {DISTURBED:.0%} of the CPUs in one of the slices\n"
    if results["cells"]:
        text += agreement_section(results)
    return (
        text
        + cold_section(results["cold_starts"])
        + failure_section(results["failures"])
        + machine_section(results, settings_text(results["settings"]))
    )
