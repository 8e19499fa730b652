"""The benchmarks' table and pages on made-up figures, and their short form; what they measure is not looked at."""

# ruff: noqa: RUF001 - the sign of multiplication is one

import pytest
from benchmarks.page import NotReplaced, put
from benchmarks.sections import LONG, SHORT, Part, measure, sections
from benchmarks.servers import NotInstalled
from benchmarks.table import Figure, Judged, middle, number, per, show, times

FAST = Figure("first sync", "300/s", "100/s", "600/s", (times(3.0, "naive", "≥ 3"), times(0.5, "bare", "≥ 0.4")))
LEAN = Figure("memory", "300 MiB", judged=(Judged(300, "≤ 250 MiB"),))
CALLS = Figure("calls", "20", judged=(per(0.0002, "user", "≤ 0.01"),))
PAGE = """# Figures

<!-- figures: make bench WRITE=1 -->
a machine, a day:

| what | mmconsole | ratio | wanted |
|---|---|---|---|
| memory | 100 MiB |  | ≤ 250 MiB |
| help | 20 ms |  |  |
<!-- figures end -->

The rest.
"""
COLUMNS = (0, 3, 4, 5)


def test_the_table_shows_both_peers_each_ratio_and_what_was_wanted() -> None:
    head, rule, fast, *_ = show([FAST, CALLS]).splitlines()

    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "what", "naive peer", "bare limit", "mmconsole", "ratio", "wanted",
    ]  # fmt: skip
    assert [cell.strip() for cell in fast.strip("|").split("|")] == [
        "first sync", "100/s", "600/s", "300/s", "3.00 × naive, 0.50 × bare", "≥ 3, ≥ 0.4",
    ]  # fmt: skip
    assert len(head) == len(rule) == len(fast)


def test_a_figure_on_the_wrong_side_is_marked_where_figures_are_judged() -> None:
    assert LEAN.cells()[-1] == "≤ 250 MiB (missed)"
    assert LEAN.cells(judge=False)[-1] == "≤ 250 MiB"
    assert not any(one.missed for one in (*FAST.judged, *CALLS.judged, times(99, "bare")))
    assert times(2.9, "naive", "≥ 3 on free cores").missed


def test_numbers_have_the_digits_that_are_worth_a_look() -> None:
    assert [number(value) for value in (0.0, 0.0052, 0.5, 2.954, 10.63, 250)] == [
        "0.00", "0.0052", "0.50", "2.95", "10.6", "250.0",
    ]  # fmt: skip


def test_the_middle_ratio_is_that_of_runs_that_met() -> None:
    assert middle([1.0, 2.0, 1.0], [3.0, 8.0, 2.0]) == 3.0


def test_a_cell_cannot_break_the_table() -> None:
    assert show([Figure("a | b", "x | y")]).splitlines()[-1].count("|") == 7


async def test_what_crashes_and_what_lacks_a_service_say_so_in_their_rows_and_the_rest_goes_on() -> None:
    async def crash() -> list[Figure]:
        raise RuntimeError("no\nluck")

    async def lack() -> list[Figure]:
        raise NotInstalled("mariadb is not installed here")

    async def work() -> list[Figure]:
        return [FAST]

    figures: list[Figure] = []
    said: list[str] = []

    crashed = await measure([Part("a", crash), Part("b", lack), Part("c", work)], figures, tell=said.append)

    assert crashed == 1
    assert [(one.what, one.ours) for one in figures] == [
        ("a", "not measured: RuntimeError: no luck"),
        ("b", "not measured: mariadb is not installed here"),
        ("first sync", "300/s"),
    ]
    assert "Traceback" in said[0]


def test_the_short_form_has_the_sections_and_parts_of_the_long_one() -> None:
    short, long = (
        {name: [part.what for part in parts] for name, parts in sections(scale).items()} for scale in (SHORT, LONG)
    )

    assert list(short) == list(long)
    assert short | {"memory": []} == long | {"memory": []}
    assert (len(short["memory"]), len(long["memory"])) == (1, 4)


def test_a_whole_run_replaces_all_figures_of_a_page_and_nothing_else() -> None:
    lost = Figure("console", "not measured: no luck", measured=False)

    new = put(PAGE, [FAST, lost, CALLS], run="another machine, today", columns=COLUMNS, whole=True)

    assert new == PAGE.replace("a machine, a day", "another machine, today").replace(
        "| memory | 100 MiB |  | ≤ 250 MiB |\n| help | 20 ms |  |  |\n",
        "| first sync | 300/s | 3.00 × naive, 0.50 × bare | ≥ 3, ≥ 0.4 |\n| calls | 20 | 0.0002 per user | ≤ 0.01 |\n",
    )


def test_a_run_of_some_sections_replaces_its_rows_among_those_there() -> None:
    new = put(PAGE, [LEAN, CALLS], run="a machine, a day", columns=COLUMNS, whole=False)

    assert [line for line in new.splitlines() if line.startswith("| ")][1:] == [
        "| memory | 300 MiB |  | ≤ 250 MiB (missed) |",
        "| help | 20 ms |  |  |",
        "| calls | 20 | 0.0002 per user | ≤ 0.01 |",
    ]


def test_figures_of_two_machines_or_days_are_not_mixed() -> None:
    with pytest.raises(NotReplaced, match="a machine, a day"):
        put(PAGE, [LEAN], run="another machine, today", columns=COLUMNS, whole=False)
    with pytest.raises(NotReplaced, match="lacks"):
        put("no marks", [LEAN], run="a machine, a day", columns=COLUMNS, whole=True)


@pytest.mark.parametrize(("page", "columns"), [("README.md", COLUMNS), ("docs/benchmarks.md", range(6))])
def test_the_pages_can_take_new_figures(page: str, columns: tuple[int, ...], pytestconfig: pytest.Config) -> None:
    text = (pytestconfig.rootpath / page).read_text(encoding="utf-8")

    assert FAST.what in put(text, [FAST], run="a machine, a day", columns=columns, whole=True)
