"""Rows that belong together, dealt out by chance: of one patient or one day, in the training and in the test."""

from __future__ import annotations

import re
import shlex

import numpy as np
import polars as pl

from limpide import seeds
from limpide.data import values
from limpide.data.columns import Task, understand
from limpide.data.dataset import Column, Dataset
from limpide.data.leaks.evidence import Answers, Leak, Level, codes
from limpide.data.splits import Split
from limpide.i18n import _, format_count, format_percent, ngettext

MIN_ROWS = 50
"""Fewer rows, or pairs of them, prove nothing."""

MIN_GROUPS = 5
"""With fewer groups than this, those of tomorrow are those of today."""

TIED = 0.1
"""Likeness of rows of one group, or of one time, from which a test by chance is too easy."""

STRONGLY_TIED = 0.5
"""From here on half of what there is to predict can be read off a neighbour."""

SURE = 4.0
"""Likeness in standard errors (1/√pairs) below which it may be chance: one in 30,000."""

SAMPLED_GROUPS = 2_000
MANY_GROUPS = 50
GROUP_ROWS = 20
"""More words than a table of categories holds, each in this many rows at most, look like names of things, whatever
their column is called."""

LEAST_ROWS = 1.5
"""Rows of a group, on average, from which there are groups at all."""

_THING = (
    "patient|subject|participant|person|customer|client|user|member|student|speaker|author|driver|employee|animal|"
    "household|family|session|visit|episode|device|machine|"
    "malade|sujet|personne|utilisateur|utilisatrice|eleve|élève|etudiant|étudiant|locuteur|auteur|conducteur|foyer|"
    "famille|seance|séance|appareil"
)
_MARK = "id|no|nr|num|number|key|code|name|uuid|ref|numero|numéro|nom|identifiant"
_GROUP_NAME = re.compile(rf"((id|num|code|ref)_)?({_THING})(_?({_MARK}))?", re.IGNORECASE)
_BIRTH = re.compile(r"birth|born|dob|naissance|ne_le|née?_le", re.IGNORECASE)


def is_group_name(name: str) -> bool:
    """Whether a column is called after the one its rows belong to, not after something of his.

    >>> is_group_name("PatientID"), is_group_name("customer no"), is_group_name("session_length")
    (True, True, False)
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", "_", name.strip()).strip("_")
    return _GROUP_NAME.fullmatch(words) is not None


def find_groups(
    frame: pl.DataFrame, columns: list[Column], target: pl.Series, task: Task, split: Split, rows: np.ndarray
) -> list[Leak]:
    """Columns whose groups have rows in the training and in the test, where these rows are alike.

    rows  some training rows: groups are drawn among theirs
    """
    leaks = []
    for column in columns:
        is_named = is_group_name(column.name)
        if not is_named and column.kind not in ("category", "text"):
            continue
        series = frame[column.name]
        few = series[rows].drop_nulls().unique()
        if len(few) < (MIN_GROUPS if is_named else MANY_GROUPS):
            continue
        n_groups = series.n_unique()
        if n_groups * LEAST_ROWS > len(series) or (not is_named and n_groups * GROUP_ROWS < len(series)):
            continue
        likeness, n_pairs = _group_likeness(series, few.head(SAMPLED_GROUPS), target, task, split)
        if n_pairs < MIN_ROWS or likeness < max(TIED if is_named else STRONGLY_TIED, SURE / np.sqrt(n_pairs)):
            continue
        n_cut = int(series[split.test].is_in(series[split.train].unique().implode()).sum())
        if n_cut:
            leaks.append(_group_leak(column.name, is_named, likeness, n_cut, len(split.test), str(target.name)))
    return leaks


def _group_likeness(
    series: pl.Series, groups: pl.Series, target: pl.Series, task: Task, split: Split
) -> tuple[float, int]:
    """How alike two training rows of one group are, and on how many pairs that stands."""
    own = series[split.train]
    members = split.train[own.is_in(groups.implode()).fill_null(False).to_numpy()]
    # rows of a group are paired by chance: neighbours in the file may be alike for other reasons
    members = seeds.stream(0, "groups").permutation(members)
    group = codes(series[members])
    order = np.argsort(group, kind="stable")
    same = group[order[:-1]] == group[order[1:]]
    return Answers.of(target[members], task).likeness(order[:-1][same], order[1:][same]), int(same.sum())


def _group_leak(name: str, is_named: bool, likeness: float, n_cut: int, n_test: int, target: str) -> Leak:
    found = ngettext(
        "{n} of the {n_test} test rows shares its {name} with rows trained on, and {share} of the differences in "
        "{target} vanish within one {name}",
        "{n} of the {n_test} test rows share their {name} with rows trained on, and {share} of the differences in "
        "{target} vanish within one {name}",
        n_cut,
    ).format(
        n=format_count(n_cut),
        n_test=format_count(n_test),
        share=format_percent(likeness),
        name=name,
        target=target,
    )
    why = _("the test does not show how the network does on a new {name}").format(name=name)
    mend = _("keep each {name} in one part with --split group --split-by {column}").format(
        name=name, column=shlex.quote(name)
    )
    where = _("column {name}").format(name=name)
    return Leak(f"cut-group:{name}", "block" if is_named else "warning", where, found, why, (mend,))


def find_time_order(frame: pl.DataFrame, columns: list[Column], answers: Answers) -> list[Leak]:
    """Columns of dates in whose order neighbouring rows are alike in the target.

    frame  the rows of the answers. A day of birth is a property, not the time of a row
    """
    leaks = []
    for column in columns:
        if column.kind != "date" or _BIRTH.search(column.name):
            continue
        moments = values.dates(frame[column.name], column.date_format).to_physical()
        known = np.flatnonzero(moments.is_not_null().to_numpy())
        if len(known) < MIN_ROWS:
            continue
        order = known[np.argsort(moments.to_numpy()[known], kind="stable")]
        likeness = answers.likeness(order[:-1], order[1:])
        if likeness < max(TIED, SURE / np.sqrt(len(known))):
            continue
        found = _(
            "{share} of the differences in {target} vanish between rows that follow one another in time, and the "
            "rows are dealt out by chance"
        ).format(share=format_percent(likeness), target=answers.name)
        why = _("the test asks about days between those trained on, in use the network meets later ones")
        mend = _("test on the latest rows with --split time --split-by {column}").format(
            column=shlex.quote(column.name)
        )
        where = _("column {name}").format(name=column.name)
        level: Level = "block" if likeness >= STRONGLY_TIED else "warning"
        leaks.append(Leak(f"time-order:{column.name}", level, where, found, why, (mend,)))
    return leaks


def find_identifiers(dataset: Dataset) -> list[Leak]:
    """Identifiers that became features because the user said what they are."""
    if not isinstance(dataset.inputs, pl.DataFrame):
        return []
    forced = [column.name for column in dataset.columns if column.is_feature and column.is_chosen]
    if not forced:
        return []
    # a counter is an identifier only where something else can be learned from
    other = [name for name in dataset.input_names if name not in forced][:1]
    columns, _notes = understand(dataset.inputs.select(forced + other))
    return [
        Leak(
            f"identifier:{column.name}",
            "warning",
            _("column {name}").format(name=column.name),
            _("an identifier that you made a feature ({why})").format(why=column.why),
            _("what is learned of one identifier says nothing of the next"),
            (_("leave it out with --drop {column}").format(column=shlex.quote(column.name)),),
        )
        for column in columns
        if column.kind == "identifier"
    ]
