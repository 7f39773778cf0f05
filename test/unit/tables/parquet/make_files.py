"""Writes the files beside it, as pyarrow, pandas, Polars and DuckDB write them by default and with
each codec. They are kept, because the tests run without these packages.

    python -m venv v && v/bin/pip install pandas pyarrow polars duckdb && v/bin/python make_files.py
"""

import datetime
import decimal
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet

FOLDER = Path(__file__).parent
ROWS = pandas.DataFrame({"text": ["a", "b", "ä", "d"], "label": ["x", "y", "x", "y"]})


def write(name: str, label: pyarrow.Array, **options: object) -> None:
    """A table of pyarrow with the four texts and these labels."""
    names = ["text", "label"]
    table = pyarrow.Table.from_arrays([pyarrow.array(ROWS.text), label], names=names)
    pyarrow.parquet.write_table(table, FOLDER / f"{name}.parquet", store_schema=False, **options)


labels = pyarrow.array(ROWS.label)
for codec in ("snappy", "zstd", "gzip", "brotli", "lz4", "none"):
    write(f"pyarrow-{codec}", labels, compression=codec)
write("pyarrow-v2-pages", labels, data_page_version="2.0", version="2.6")
write("pyarrow-row-groups", labels, row_group_size=1)
write("pyarrow-large-string", labels.cast(pyarrow.large_string()))
write("pyarrow-string-view", labels.cast(pyarrow.string_view()))
for encoding in ("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"):
    columns = {"text": encoding, "label": encoding}
    name = f"pyarrow-{encoding.lower().replace('_', '-')}"
    write(name, labels, use_dictionary=False, column_encoding=columns)
ROWS.to_parquet(FOLDER / "pandas.parquet")
ROWS.astype({"label": "category"}).to_parquet(FOLDER / "pandas-categorical.parquet")
frame = polars.from_pandas(ROWS)
frame.write_parquet(FOLDER / "polars.parquet")
frame.cast({"label": polars.Categorical}).write_parquet(FOLDER / "polars-categorical.parquet")
for codec in ("lz4", "gzip", "brotli"):
    frame.write_parquet(FOLDER / f"polars-{codec}.parquet", compression=codec)
for codec in ("snappy", "zstd", "gzip", "brotli", "lz4_raw"):
    duckdb.sql(f"copy (select * from ROWS) to '{FOLDER}/duckdb-{codec}.parquet' (codec '{codec}')")

LARGEST = {bits: 2**bits - 1 for bits in (7, 8, 15, 16, 31, 32, 63, 64)}
for bits in (8, 16, 32, 64):
    for name, largest in ((f"int{bits}", LARGEST[bits - 1]), (f"uint{bits}", LARGEST[bits])):
        write(f"type-{name}", pyarrow.array([0, 1, largest, None], name))
OTHERS = {
    "float64": pyarrow.array([1.0, 2.5, float("nan"), None]),
    "bool": pyarrow.array([True, False, True, None]),
    "decimal": pyarrow.array([decimal.Decimal(n) for n in ("0.3", "-2", "1.10", "3.333")]),
    "long-decimal": pyarrow.array(
        [decimal.Decimal(f"12345678901234567890.1{i}") for i in range(4)]
    ),
    "binary": pyarrow.array([b"x", b"\xff\xfe", None, b"y"]),
    "timestamp": pyarrow.array([datetime.datetime(2024, 1, 1)] * 4),
    "date": pyarrow.array([datetime.date(2024, 1, 1)] * 4),
    "list": pyarrow.array([["x"], ["y", "z"], [], None]),
    "struct": pyarrow.array([{"a": 1}, {"a": 2}, None, {"a": None}]),
}
for name, array in OTHERS.items():
    write(f"type-{name}", array)

twice = pyarrow.Table.from_arrays([labels, labels, labels], names=["text", "label", "label"])
pyarrow.parquet.write_table(twice, FOLDER / "same-name.parquet", store_schema=False)
none = pyarrow.table({"text": labels, "label": labels}).slice(0, 0)
pyarrow.parquet.write_table(none, FOLDER / "no-rows.parquet", store_schema=False)
