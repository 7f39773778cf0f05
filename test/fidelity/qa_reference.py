"""Features of questions by Transformers, for comparison. Places count code points. One line of JSON
each way:

{"model": …, "features": [[question, context, answer or null], …], "max_length": n, "stride": n}
                                   →  [[[ids, [[begin, end], …], start, end], …], …]

An answer is [text, start]. The features of each question are ids, the context's places, and the
answer's first and last token.
"""

import json
import sys

from tokenizer_reference import load


def answer_tokens(answer, context, offsets):
    """First and last of the row's tokens that hold the answer; 0 and 0 where the window does not
    hold all of it.
    """
    if answer is None:
        return 0, 0
    begin, end = answer[1], answer[1] + len(answer[0])
    if not context or offsets[context[0]][0] > begin or offsets[context[-1]][1] < end:
        return 0, 0
    first = max(i for i in context if offsets[i][0] <= begin)
    before_last = [i for i in context if offsets[i][1] < end]
    return first, (max(before_last) + 1 if before_last else context[0])


def features(tokenizer, rows, max_length, stride):
    for question, context, answer in rows:
        encoded = tokenizer(
            question.lstrip(),
            context,
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        found = []
        for i, ids in enumerate(encoded["input_ids"]):
            offsets = encoded["offset_mapping"][i]
            window = [k for k, part in enumerate(encoded.sequence_ids(i)) if part == 1]
            found.append(
                [ids, [offsets[k] for k in window], *answer_tokens(answer, window, offsets)]
            )
        yield found


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        tokenizer = load(request["model"])
        answer = list(
            features(tokenizer, request["features"], request["max_length"], request["stride"])
        )
        print(json.dumps(answer, separators=(",", ":")), flush=True)


main()
