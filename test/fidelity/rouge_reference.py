"""ROUGE F1 by Google's rouge-score package, for comparison.

usage: rouge_reference.py
           reads [reference, prediction] per line (JSON); writes [without stemmer, with stemmer]
           per line, each [rouge1, rouge2, rougeL, rougeLsum]
       rouge_reference.py golden
           writes test/unit/tasks/summaries/golden/rouge.json, the same for sentences of our own
"""

import json
import os
import sys

from rouge_score.rouge_scorer import RougeScorer

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
SCORERS = [RougeScorer(TYPES, use_stemmer=stemmer) for stemmer in (False, True)]
UNIT_TESTS = os.path.join(os.path.dirname(__file__), "..", "unit")
GOLDEN = os.path.join(UNIT_TESTS, "tasks", "summaries", "golden", "rouge.json")

PAIRS = [
    ["The old mill by the river was sold on Monday.", "On Monday the old mill was sold."],
    [
        "The old mill by the river was sold on Monday.",
        "The old mill by the river was sold on Monday.",
    ],
    ["Cats sleep.", "Dogs bark!"],
    ["", ""],
    ["", "A word."],
    ["A word.", ""],
    ["… — !?", "… — !?"],
    ["One.", "one"],
    ["the the the the", "the the"],
    ["a b a b a b", "b a b a"],
    ["She sings; singing singers sang the songs.", "The singer sings a song, and they sang."],
    [
        "Relational operators happily generalized conditions.",
        "A relation operates happy general conditional rationality.",
    ],
    [
        "Flies died; skies were dying, news of the innings proceeded.",
        "The sky dies: a fly lies, newly proceeding inning.",
    ],
    [
        "Formally, hopefully and responsibly: a geology of theologies.",
        "The formal, hopeful, responsible geologist's theology.",
    ],
    [
        "A possibly agreed controlling fee, plastered, hopped, filed and fizzed.",
        "Agreeing to control possible fees, they plaster, hop, file, fizz.",
    ],
    ["Café Zoë à Paris costs 12,50 €.", "cafe zoe a paris costs 12.50"],
    ["İstanbul K 水 ß", "istanbul k ss"],
    [
        "A farmer found a boat.\nThe boat was red.\nHe painted it.",
        "The red boat was painted.\nA farmer found it.",
    ],
    ["A farmer found a boat.\n\nThe boat was red.", "The boat was red. A farmer found a boat."],
    [
        "The mill stood. The mill fell.\nThe mill stood again.",
        "The mill stood again.\nThe mill fell.\nThe mill.",
    ],
    ["w x y z\nx w z y\nw w x", "w y x z\nz x w\ny w x x"],
    ["tab\tand\u00a0space\u2028line", "tab and space line"],
    ["snake_case isn't one-word 3rd 42", "snake case isn t one word 3rd"],
]


def scores(reference, prediction):
    found = [scorer.score(reference, prediction) for scorer in SCORERS]
    return [[score[name].fmeasure for name in TYPES] for score in found]


def main() -> None:
    if sys.argv[1:] == ["golden"]:
        rows = [
            {"reference": pair[0], "prediction": pair[1], "scores": scores(*pair)} for pair in PAIRS
        ]
        with open(GOLDEN, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2, ensure_ascii=False)
            file.write("\n")
        return
    for line in sys.stdin:
        sys.stdout.write(json.dumps(scores(*json.loads(line)), separators=(",", ":")) + "\n")


main()
