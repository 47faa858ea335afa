"""EVALUATE.md from evaluate.json's content."""

import statistics
from collections import defaultdict

import bench_report
from bench_report import DISTURBED, name, table

VITC = "vitc"
NAMES = {"vitc bench": "`vitc bench`, no files", "onnxruntime-lanes": "ONNX Runtime in lanes"}
# Which of the stages that vitc measures are told: seconds of threads, all lanes together.
STAGES = ("read", "decode", "preprocess", "compute", "wait")


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def mark(runs):
    return " *" if any(run["others"] > DISTURBED for run in runs) else ""


def spread(values, digits, marks=""):
    text = f"{statistics.median(values):.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f}-{max(values):.{digits}f})"
    return text + marks


def by_round(runs):
    return {run["round"]: run for run in runs}


def times_as_fast(ours, theirs, key):
    """Median and range over the rounds of how many times as fast vitc is."""
    ours, theirs = by_round(ours), by_round(theirs)
    pairs = [(ours[number][key], theirs[number][key]) for number in ours if number in theirs]
    ratios = [b / a if key == "seconds" else a / b for a, b in pairs]
    if not ratios:
        return ""
    return spread(ratios, 2).replace(" (", "x (", 1) if len(ratios) > 1 else f"{ratios[0]:.2f}x"


def ways_of(runs):
    """{(contender, way): runs}, in order of appearance."""
    grouped = defaultdict(list)
    for run in runs:
        grouped[run["contender"], run["way"]].append(run)
    return grouped


def name_of(contender):
    return NAMES.get(contender, name(contender))


def shown(contender, way):
    return f"{name_of(contender)} `{way.replace('@', '')}`"


def fastest(grouped, contender, key):
    """Its way with the best median."""
    own = {way: runs for way, runs in grouped.items() if way[0] == contender}
    pick = min if key == "seconds" else max
    return pick(own.values(), key=lambda runs: median(runs, key)) if own else None


def round_table(runs, count):
    grouped = ways_of(runs)
    speed, seconds = (fastest(grouped, VITC, key) for key in ("images_per_second", "seconds"))
    rows = []
    for (contender, way), own in grouped.items():
        rates = [run["images_per_second"] for run in own]
        row = [shown(contender, way), spread(rates, 1, mark(own))]
        if contender == "vitc bench":
            ratio = times_as_fast(speed, own, "images_per_second") if speed else ""
            rows.append([*row, "", "", ratio, "", ""])
            continue
        row.append(spread([run["seconds"] for run in own], 1, mark(own)))
        outside = [run["seconds"] - count / run["images_per_second"] for run in own]
        row.append(f"{statistics.median(outside):.1f}")
        if contender == VITC or speed is None:
            row += ["", ""]
        else:
            row.append(times_as_fast(speed, own, "images_per_second"))
            row.append(times_as_fast(seconds, own, "seconds"))
        rows.append([*row, f"{min(run['same'] for run in own) / count:.1%}"])
    head = ["", "images/s once it runs", "seconds, whole process", "of it start and end"]
    head += ["vitc is, once it runs", "vitc is, whole process", "labels of PyTorch f32"]
    return table(head, rows)


def stage_line(runs):
    own = fastest(ways_of(runs), VITC, "images_per_second")
    if not own:
        return ""
    times = own[-1]["times"]
    total = sum(times[stage] for stage in STAGES)
    parts = [f"{stage} {times[stage] / total:.1%}" for stage in STAGES]
    lanes = f"{times['lanes']} x {times['threads_per_lane']}"
    return f"\nvitc's time, {lanes} threads, last round: {', '.join(parts)}.\n"


def metric_line(runs):
    """Of the last round, to show that all computed the same."""
    texts = []
    for (contender, _), own in ways_of(runs).items():
        if "loss" in own[-1]:
            numbers = " ".join(f"{own[-1][key]:.4f}" for key in ("top1", "top5", "loss"))
            texts.append(f"{name_of(contender)} {numbers}")
    return f"\nTop-1, top-5, loss: {'; '.join(texts)}.\n"


def model_section(model, runs):
    rounds = [run for run in runs if run["step"] == "rounds"]
    text = f"\n## {name(model)}\n"
    for count in dict.fromkeys(run["images"] for run in rounds):
        own = [run for run in rounds if run["images"] == count]
        number = len({run["round"] for run in own})
        text += f"\n{count} images, {number} round{'s' if number != 1 else ''}:\n\n"
        text += round_table(own, count) + stage_line(own) + metric_line(own)
    tried = [run for run in runs if run["step"] == "choose"]
    if tried:
        rows = []
        for way, own in ways_of(tried).items():
            rate = f"{own[0]['images_per_second']:.1f}{mark(own)}"
            rows.append([shown(*way), rate, f"{own[0]['seconds']:.1f}"])
        text += f"\nTried once on {tried[0]['images']} images, to choose from:\n\n"
        text += table(["", "images/s once it runs", "seconds, whole process"], rows)
    return text


def markdown(results):
    text = (
        "# vitc eval and its peers\n\nWritten by `bench/evaluate.py`; [README.md](README.md) says "
        "how and what was done to be fair. From JPEG files on disk to top-1, top-5 and loss: "
        "median and range of the rounds, ratios within rounds.\n"
    )
    by_model = defaultdict(list)
    for run in results["runs"]:
        by_model[run["model"]].append(run)
    for model, runs in by_model.items():
        text += model_section(model, runs)
    if any(run["others"] > DISTURBED for run in results["runs"]):
        text += f"\n\\* others used more than {DISTURBED:.0%} of the CPUs in one of the runs\n"
    most = max(run["others"] for run in results["runs"])
    settings = (
        f"{results['settings']['threads']} threads each; others used at most {most:.0%} of the "
        "CPUs in any run"
    )
    return (
        text
        + bench_report.failure_section(results["failures"])
        + bench_report.machine_section(results, settings)
    )
