"""What is wrong with a request, field by field, in the words that all trainers share."""

import math
from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.rpc.error_details_pb2 import BadRequest

Violation: TypeAlias = BadRequest.FieldViolation
# Pairs of a field's path in the request and what is wrong with it.
Found: TypeAlias = Iterator[tuple[str, str]]
MOST_VIOLATIONS = 20


def list_violations(found: Found) -> list[Violation]:
    return [Violation(field=field, description=description) for field, description in found]


def bad_request(violations: list[Violation]) -> BadRequest:
    """Keeps at most 20 violations, the last one "and N more": a longer trailer breaks the
    connection."""
    if len(violations) > MOST_VIOLATIONS:
        shown = violations[: MOST_VIOLATIONS - 1]
        violations = [
            *shown,
            Violation(
                field=violations[len(shown)].field,
                description=f"and {len(violations) - len(shown)} more",
            ),
        ]
    return BadRequest(field_violations=violations)


def check_enum(field: str, value: int, enum: EnumTypeWrapper) -> Found:
    allowed = ", ".join(enum.keys()[1:])
    if value == 0:
        yield field, f"is not set; it is one of {allowed}"
    elif value not in enum.values():
        yield field, f"{value} is not one of {allowed}"


def check_at_least_one(field: str, value: int) -> Found:
    if value < 1:
        yield field, f"{value} is not at least 1"


def check_positive(field: str, value: float) -> Found:
    if not (math.isfinite(value) and value > 0):
        yield field, f"{write_number(value)} is not a number above 0"


def check_not_negative(field: str, value: float) -> Found:
    if not (math.isfinite(value) and value >= 0):
        yield field, f"{write_number(value)} is not a number of at least 0"


def check_fraction(field: str, value: float) -> Found:
    if not 0 <= value < 1:
        yield field, f"{write_number(value)} is not in [0, 1)"


def write_name(enum: EnumTypeWrapper, value: int) -> str:
    """The value's name, or its number if the contract has no such value."""
    return str(enum.Name(value)) if value in enum.values() else str(value)


def write_number(value: float) -> str:
    """Writes a number as trainers in other languages do: 1, 0.5, NaN, Infinity."""
    if math.isnan(value):
        return "NaN"
    return str(value).removesuffix(".0").replace("inf", "Infinity")
