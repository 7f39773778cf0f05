"""SQuAD's metrics and answers after the official scripts' published rules, written anew and
plainly, for comparison.

usage: squad_reference.py evaluate <v1.1|v2.0>
           reads one line, {"references": [[id, [answer, …]], …], "predictions": {id: text},
           "no_answer": {id: number} or null}; writes the metrics
       squad_reference.py answers
           reads a line per question, {"context", "features": [{"places": [[begin, end] or null, …],
           "start": […], "end": […]}, …]}; writes [text, non-empty text, margin]
"""

import json
import re
import string
import sys
from collections import Counter

import numpy as np


def words(text):
    text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(predicted, gold):
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def f1_v2(predicted, gold):
    return float(predicted == gold) if not predicted or not gold else f1(predicted, gold)


def evaluate_v1(references, predictions):
    exact = [
        max(float(words(predictions[i]) == words(gold)) for gold in golds)
        for i, golds in references
    ]
    shared = [
        max(f1(words(predictions[i]), words(gold)) for gold in golds) for i, golds in references
    ]
    return {"exact_match": 100 * sum(exact) / len(exact), "f1": 100 * sum(shared) / len(shared)}


def best_threshold(scores, references, predictions, no_answer):
    current = best = sum(not golds for _, golds in references)
    threshold = 0.0
    has_answer = {i: bool(golds) for i, golds in references}
    for i in sorted(no_answer, key=no_answer.get):
        if i in scores:
            current += scores[i] if has_answer[i] else -1 if predictions[i] else 0
            if current > best:
                best, threshold = current, no_answer[i]
    return 100 * best / len(scores), threshold


def evaluate_v2(references, predictions, no_answer):
    raw = {"exact": {}, "f1": {}}
    for i, golds in references:
        golds = [gold for gold in golds if words(gold)] or [""]
        raw["exact"][i] = max(float(words(predictions[i]) == words(gold)) for gold in golds)
        raw["f1"][i] = max(f1_v2(words(predictions[i]), words(gold)) for gold in golds)
    result = {}
    for prefix, chosen in (
        ("", references),
        ("HasAns_", [each for each in references if each[1]]),
        ("NoAns_", [each for each in references if not each[1]]),
    ):
        if not chosen:
            continue
        for name, scores in raw.items():
            decided = [
                float(not golds) if no_answer and no_answer[i] > 1.0 else scores[i]
                for i, golds in chosen
            ]
            result[prefix + name] = 100 * sum(decided) / len(decided)
        result[prefix + "total"] = len(chosen)
    if no_answer:
        for name, scores in raw.items():
            best, threshold = best_threshold(scores, references, predictions, no_answer)
            result |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
    return result


def answer(context, features, best=20, longest=30):
    nothing, spans = None, []
    for feature in features:
        start, end = (np.asarray(feature[key], dtype=np.float32) for key in ("start", "end"))
        score = start[0] + end[0]
        nothing = score if nothing is None or score < nothing else nothing
        for first in np.argsort(-start, kind="stable")[:best]:
            for last in np.argsort(-end, kind="stable")[:best]:
                places = feature["places"]
                if (
                    places[first] is not None
                    and places[last] is not None
                    and first <= last < first + longest
                ):
                    text = context[places[first][0] : places[last][1]]
                    spans.append((text, start[first], end[last], start[first] + end[last]))
    spans.sort(key=lambda span: span[3], reverse=True)
    text = spans[0][0] if spans else ""
    full, start, end, _ = next(
        (span for span in spans if span[0]), ("", np.float32(0), np.float32(0), 0)
    )
    return [text, full, float(nothing - start - end)]


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if sys.argv[1] == "answers":
            result = answer(asked["context"], asked["features"])
        elif sys.argv[2] == "v1.1":
            result = evaluate_v1(asked["references"], asked["predictions"])
        else:
            result = evaluate_v2(asked["references"], asked["predictions"], asked["no_answer"])
        sys.stdout.write(json.dumps(result, separators=(",", ":")) + "\n")


main()
