"""The tables of labels, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, SmallInteger, String, Table, Text

METADATA = MetaData()

LABELLED = Table(  # rows of predictions that have a label; the primary key is the promise that one counts
    "labelled_rows",
    METADATA,
    Column("namespace", String(63), primary_key=True),
    Column("prediction", String(16), primary_key=True),
    Column("row", SmallInteger, primary_key=True, autoincrement=False),
    Column("claim", String(16), nullable=False),  # of the label that counted: its pod may ask again whether it did
    Column("issued", BigInteger, nullable=False, index=True),
)

VALUES = Table(  # what the labels of kept rows were, as JSON
    "label_values",
    METADATA,
    Column("namespace", String(63), primary_key=True),
    Column("prediction", String(16), primary_key=True),
    Column("row", SmallInteger, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    Column("issued", BigInteger, nullable=False, index=True),
)

TOTALS = Table(  # what was counted so far; they never fall, also when rows expire
    "label_totals",
    METADATA,
    Column("namespace", String(63), primary_key=True),
    Column("model_deployment", String(253), primary_key=True),
    Column("revision", String(16), primary_key=True),
    Column("entry", String(8), primary_key=True),
    Column("labels", BigInteger, nullable=False),
    Column("correct", BigInteger, nullable=False),
    Column("repeats", BigInteger, nullable=False),
)
