"""Write metrics/: what scikit-learn, scipy and numpy measure of made-up classifiers.

    python make_metrics.py          # numpy, scipy and scikit-learn as in requirements.txt

metrics/<case>.json   classes, independent, temperature, labels [n], logits [n][classes] (eighths, so
                      that a float32 holds them), and what is measured of them; null is 0/0
metrics/versions.json

scikit-learn has no calibration error: that is written here in numpy from its definition, without
looking at bins one by one as the C code does.
"""

import json
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn import metrics as sk

FOLDER = Path(__file__).parent / "metrics"
BINS = 15


def make_case(seed, n, classes, independent, temperature, absent=(), unpredicted=(), slope=1.0):
    rng = np.random.default_rng(seed)
    present = [k for k in range(classes) if k not in absent]
    share = np.arange(1, len(present) + 1) / sum(range(1, len(present) + 1))
    labels = rng.choice(present, size=n, p=share)
    logits = slope * rng.normal(0, 2, (n, classes))
    logits[np.arange(n), labels] += slope * rng.normal(2.5, 1.5, n)
    logits[:, list(unpredicted)] -= 12
    if independent:
        logits -= 3
    return {
        "classes": classes,
        "independent": independent,
        "temperature": temperature,
        "labels": labels,
        "logits": np.round(logits * 8) / 8,
    }


def losses(case, b):
    """Of each image, at the temperature 1 / b."""
    z = case["logits"] * b
    truth = np.arange(case["classes"]) == case["labels"][:, None]
    if case["independent"]:
        return -np.where(truth, log_expit(z), log_expit(-z)).sum(axis=1)
    return -log_softmax(z, axis=1)[truth]


def calibration(confidence, right):
    n = len(right)
    edges = np.arange(BINS + 1) / BINS
    assert np.abs(confidence[:, None] - edges[:-1]).min() > 1e-6  # no float32 in another bin
    bins = np.digitize(confidence, edges, right=True)
    count, hits, sums, spread = (
        np.bincount(bins, weights, BINS + 1)[1:]
        for weights in (np.ones(n), right, confidence, confidence * (1 - confidence))
    )
    full = count >= 2
    accuracy, mean = hits[full] / count[full], sums[full] / count[full]
    noise = accuracy * (1 - accuracy) / (count[full] - 1)
    used = count > 0
    return {
        "ece": (count[used] / n * np.abs(hits[used] / count[used] - sums[used] / count[used])).sum(),
        "ece_calibrated": np.sqrt(2 / (np.pi * n))
        * np.sqrt(count[used] / n * (spread[used] / count[used])).sum(),
        "ece2_debiased": (count[full] / n * ((accuracy - mean) ** 2 - noise)).sum(),
        "bins": [[int(c), int(h)] for c, h in zip(count, hits)],
    }


def measure(case):
    labels, classes = case["labels"], case["classes"]
    z = case["logits"] / case["temperature"]
    scores = expit(z) if case["independent"] else softmax(z, axis=1)
    predicted = scores.argmax(axis=1)
    everything = np.arange(classes)
    truth = np.eye(classes)[labels]
    with_images = np.unique(labels)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, predicted, labels=everything, zero_division=np.nan
    )
    place = np.argsort(-scores, axis=1, kind="stable")
    rank = 1 + (place == labels[:, None]).argmax(axis=1)
    loss = losses(case, 1 / case["temperature"])
    brier = ((scores - truth) ** 2).sum(axis=1).mean()
    if not case["independent"]:
        probabilities = scores[:, 1] if classes == 2 else scores
        assert np.isclose(sk.log_loss(labels, scores, labels=everything), loss.mean(), rtol=1e-9)
        assert np.isclose(
            sk.brier_score_loss(labels, probabilities, labels=everything, scale_by_half=False), brier
        )
    fit = minimize_scalar(
        lambda b: losses(case, b).mean(), bracket=(0.1, 1.0), tol=1e-13, options={"maxiter": 500}
    )
    return {
        "top1": sk.accuracy_score(labels, predicted),
        "top5": (rank <= 5).mean(),
        "rank_sum": int(rank.sum()),
        "loss": loss.mean(),
        "brier": brier,
        "balanced": sk.balanced_accuracy_score(labels, predicted),
        "macro_f1": sk.f1_score(labels, predicted, labels=with_images, average="macro"),
        "mean_confidence": scores.max(axis=1).mean(),
        **calibration(scores.max(axis=1), (labels == predicted).astype(float)),
        "per_class": [
            [int(s), int((predicted == k).sum()), p, r, f]
            for k, s, p, r, f in zip(everything, support, precision, recall, f1)
        ],
        "confusion": sk.confusion_matrix(labels, predicted, labels=everything),
        "fitted_temperature": 1 / fit.x,
        "fitted_loss": fit.fun,
    }


CASES = {
    "softmax": make_case(1, 240, 10, False, 1.0, absent=(7, 9), unpredicted=(8, 9)),
    "calibrated": make_case(2, 120, 6, False, 2.5, slope=2.0),
    "binary": make_case(3, 120, 2, False, 1.0),
    "independent": make_case(4, 160, 7, True, 1.0, absent=(3,)),
}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if value != value else value


def main():
    FOLDER.mkdir(exist_ok=True)
    for name, case in CASES.items():
        text = json.dumps(plain({**case, "measured": measure(case)}), separators=(",", ":"))
        (FOLDER / f"{name}.json").write_text(text.replace("],[", "],\n[") + "\n")
    versions = {"python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in ("numpy", "scipy", "scikit-learn")}
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
