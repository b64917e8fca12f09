"""What a stream says where it reads a table otherwise than the whole table would be read."""

import polars as pl

from limpide.job import prepare


def test_numbers_with_units_are_words_in_a_stream_and_this_is_said(tmp_path):
    units = pl.DataFrame({"mass": [f"{i % 7} kg" for i in range(400)], "area": [i * 7 % 400 + 0.5 for i in range(400)]})
    units.with_columns(price=pl.col("area") * 3).write_csv(tmp_path / "units.csv")
    job = prepare(tmp_path / "units.csv", target="price", stream=True, engine="numpy", accept_leaks=["all"])
    assert [note.text.partition(":")[0] for note in job.notes if note.where == "mass"] == [
        "cells such as '0 kg' are numbers in a table read at once, and words in a stream"
    ]


def test_a_table_smaller_than_what_is_looked_at_is_streamed(tmp_path):
    small = pl.DataFrame({"area": [i * 7 % 120 + 0.5 for i in range(120)], "rooms": [i % 5 for i in range(120)]})
    small.with_columns(price=pl.col("area") * 3 + pl.col("rooms")).write_csv(tmp_path / "small.csv")
    job = prepare(tmp_path / "small.csv", target="price", stream=True, engine="numpy", accept_leaks=["all"])
    assert sum(job.sizes.values()) == 120
