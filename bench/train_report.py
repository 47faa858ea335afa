"""TRAINING.md from training.json's content."""

import statistics

from bench_machine import BUSY_SHARE
from bench_report import by_row, contenders_of, failure_section, machine_section, name, table

MODELS = {
    "train_tiny16_128": "ViT-Ti/16 at 128, batch 64",
    "train_tiny16_224": "ViT-Ti/16 at 224, batch 32",
    "train_small4_heads6": "32 pixels, P 4, D 192, L 9, H 6, M 384, batch 128",
    "train_small4_heads12": "the same with H 12",
}


def rate(cell):
    if cell is None:
        return ""
    mark = " *" if cell["others"] > BUSY_SHARE else ""
    return f"{cell['images_per_second']:.1f} ({cell['q1']:.1f}-{cell['q3']:.1f}){mark}"


def ratio(row, contender):
    """Median and range of the ratios within rounds."""
    if "vitc" not in row or contender not in row:
        return ""
    ratios = [
        ours / theirs
        for ours, theirs in zip(row["vitc"]["round_medians"], row[contender]["round_medians"])
    ]
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"


def of_peak(cell):
    return f"{statistics.median(cell['of_peak']):.0%}" if cell else ""


def speed_section(precision, cells):
    contenders = contenders_of(cells)
    others = [contender for contender in contenders if contender != "vitc"]
    rows = [
        [
            MODELS[model],
            *(rate(row.get(contender)) for contender in contenders),
            *(ratio(row, contender) for contender in others),
            of_peak(row.get("vitc")),
        ]
        for (model, _), row in by_row(cells).items()
    ]
    head = [
        "model",
        *map(name, contenders),
        *(f"vitc against {name(contender)}" for contender in others),
        "vitc, of the peak",
    ]
    text = f"\n### {precision}\n\n" + table(head, rows) + "\n"
    for contender in contenders:
        hows = dict.fromkeys(cell["how"] for cell in cells if cell["contender"] == contender)
        text += f"- {name(contender)}: {'; '.join(hows)}\n"
    return text


def grouped(cells):
    """Rows of a table: (precision, model, {contender: cell})."""
    for precision in dict.fromkeys(cell["precision"] for cell in cells):
        found = [cell for cell in cells if cell["precision"] == precision]
        for (model, _), row in by_row(found).items():
            yield precision, model, row


def memory_section(cells):
    contenders = contenders_of(cells)

    def share(row):
        theirs = [row[c]["peak_mib"] for c in contenders if c in row and c != "vitc"]
        if "vitc" not in row or not theirs:
            return ""
        return f"{row['vitc']['peak_mib'] / min(theirs):.0%}"

    rows = [
        [
            precision,
            MODELS[model],
            *(f"{row[c]['peak_mib']:.0f}" if c in row else "" for c in contenders),
            share(row),
        ]
        for precision, model, row in grouped(cells)
    ]
    return (
        "\n## Memory\n\nLargest resident set of the whole process after its first steps, MiB; the "
        "images, which all hold, are in it. The last column is vitc's against the smallest of the "
        "others.\n\n"
        + table(["precision", "model", *map(name, contenders), "vitc against others"], rows)
    )


def agreement_section(results):
    cells = results["cells"]
    contenders = contenders_of(cells)

    def found(cell):
        if cell is None:
            return ""
        count, last = cell["last_loss"]
        return (
            f"{cell['gradient_distance']:.1e}; {cell['loss_distance']:.1e}; "
            f"{cell['first_losses'][0]:.3f} to {last:.3f} in {count}"
        )

    rows = [
        [precision, MODELS[model], cell["losses_compared"], *(found(row.get(c)) for c in contenders)]
        for precision, model, row in grouped(cells)
        for cell in [next(iter(row.values()))]
    ]
    return (
        "\n## The same work\n\nFrom the same weights and images: distance of the first batch's "
        "gradients from PyTorch's in float32, as a share of their length; largest relative "
        "difference from PyTorch's loss over the steps that all have made (the number is in the "
        "table); the first loss and the last one, in how many steps.\n\n"
        + table(["precision", "model", "steps compared", *map(name, contenders)], rows)
    )


def whole_section(cells):
    if not cells:
        return ""
    rows = [
        [MODELS[cell["model"]], cell["precision"], rate(cell), of_peak(cell)] for cell in cells
    ]
    return (
        "\n## Whole steps\n\n`vitc train` on a folder of photos: files, decoding, augmentation "
        "(its default for photos, RandAugment among it) and the step. Images per second, median "
        "and quartiles over epochs, and the share of the peak that was measured around each run.\n\n"
        + table(["model", "precision", "images per second", "of the peak"], rows)
    )


def settings_text(settings):
    return (
        f"{settings['threads']} threads each; {settings['rounds']} rounds of one step that does "
        f"not count and {settings['slice']} s of steps"
    )


def markdown(results):
    text = (
        "# Training, against PyTorch\n\nWritten by `bench/train.py`; [README.md](README.md) says "
        "how and what was done to be fair.\n\n## Steps\n\nImages per second, median and quartiles "
        "over all rounds: from a batch in memory to the next weights (forward, backward, AdamW).\n"
    )
    cells = results["cells"]
    for precision in dict.fromkeys(cell["precision"] for cell in cells):
        text += speed_section(precision, [c for c in cells if c["precision"] == precision])
    if any(cell["others"] > BUSY_SHARE for cell in cells + results["whole"]):
        text += f"\n\\* others used more than {BUSY_SHARE:.0%} of the CPUs in one of the slices\n"
    if cells or results["whole"]:
        text += whole_section(results["whole"]) + memory_section(cells)
        text += agreement_section(results)
    return (
        text
        + failure_section(results["failures"])
        + machine_section(results, settings_text(results["settings"]))
    )
