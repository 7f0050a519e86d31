"""The report in a real browser: sorted, filtered, light and dark, on a phone, by keyboard,
and without any network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser, needs_browser
from reporting_run import Correct, base, specialist, student, write_run

from thicket.config.shown import Shown, write_shown
from thicket.reporting.report import build_report

MODELS = [
    base("tiny"),
    *(specialist(f"sort-{method}", "tiny", "sort", method) for method in ("grpo", "sft", "dapo", "ppo")),
    specialist("reverse-grpo", "tiny", "reverse"),
    student("opd", "tiny", ["sort-grpo", "reverse-grpo"]),
]
CORRECT: Correct = {
    model.name: {"sort": [place % 5] * 4, "reverse": [(place * 2 + 1) % 5] * 4} for place, model in enumerate(MODELS)
}
EVIL = [
    "<script>document.title = 'run'</script>",
    "</td></table><img src=x onerror=\"document.title = 'run'\">",
    "</script><script>document.title = 'run'</script><!--",
    "&lt;b&gt; &amp; <b>bold</b> ]]> --> ${1+1} {{7*7}}",
    "<a href='javascript:document.title=1'>x</a><style>*{display:none}</style>",
    "\u202eevil\u202c \x1b[31mred\x1b[0m \0 \u200b \ud800",
    "<meta http-equiv=refresh content='0;url=https://example.org'><base href=//example.org>",
    "שלום עולם (123)",
]
"""What models may say."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    stage = write_run(root, MODELS, CORRECT, {})
    samples = [
        Shown(step, "sort", text, text, step / 10, 5, None if step % 2 else text)
        for step, text in enumerate(EVIL, start=1)
    ]
    write_shown(root / "build/models/sort-grpo", samples)
    build_report(stage, root, root)
    return root / "index.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


SCORES = "document.querySelector('#scores table')"


def column(chromium: Browser, table: str, place: int) -> list[str]:
    """The texts of a column's cells that are shown, without their second lines."""
    rows = f"[...{table}.tBodies[0].rows].filter((row) => !row.hidden)"
    return chromium.value(f"{rows}.map((row) => row.cells[{place}].firstChild.textContent.trim())")


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_it_is_shown_without_a_complaint_or_a_request(chromium: Browser, page: Path, width: int, scheme: str) -> None:
    chromium.open(page, width, scheme)
    assert chromium.complaints() == []
    assert chromium.requests() == [page.as_uri()]
    assert chromium.value("document.documentElement.scrollWidth") <= width
    ink, paper = chromium.value(
        "[document.body, document.querySelector('tbody th')].map((one) => getComputedStyle(one))"
        ".map((style) => style.color + style.backgroundColor).join('|').match(/[0-9]+/g).map(Number)"
        ".slice(0, 6).reduce((sums, light, place) => (sums[+(place > 2)] += light, sums), [0, 0])"
    )
    assert (ink < 200 and paper > 700) if scheme == "light" else (ink > 600 and paper < 100)


@needs_browser
@pytest.mark.parametrize(("domains", "beside"), [(2, True), (4, True), (6, False), (20, False)])
def test_tables_stand_side_by_side_only_where_none_is_cut_off(
    chromium: Browser, tmp_path: Path, domains: int, beside: bool
) -> None:
    """One that is wider than the page scrolls within its box, whose edge shows that it goes on."""
    models = [base("tiny"), specialist("grpo", "tiny", "domain-0")]
    correct = {model.name: {f"domain-{n}": [1, 2, 3, 4] for n in range(domains)} for model in models}
    build_report(write_run(tmp_path, models, correct, {}), tmp_path, tmp_path)
    chromium.open(tmp_path / "index.html", 1200)
    greedy, attempts = chromium.value(
        "[...document.querySelectorAll('#attempts .scroll')].map((box) => ({cut: box.scrollWidth > box.clientWidth, "
        "top: box.offsetTop, whole: box.clientWidth === box.closest('section').clientWidth}))"
    )
    assert (greedy["top"] == attempts["top"]) == beside
    assert [one["cut"] for one in (greedy, attempts)] == [domains > 10] * 2
    assert all(one["whole"] for one in (greedy, attempts) if one["cut"])
    style = "getComputedStyle(document.querySelector('.scroll')).backgroundAttachment"
    assert chromium.value(style) == "local, scroll"


@needs_browser
def test_pictures_keep_their_size_on_a_phone_and_scroll(chromium: Browser, page: Path) -> None:
    """Shrunk to its width, their letters would be too small to read."""
    chromium.open(page, 390)
    found = chromium.value(
        "[...document.querySelectorAll('.scroll > svg')].map((svg) => "
        "[svg.getBoundingClientRect().width, svg.viewBox.baseVal.width, svg.parentElement.clientWidth])"
    )
    assert len(found) == 2, "the lineage, and scores against the budget"
    assert all(shown >= drawn > box for shown, drawn, box in found)


@needs_browser
def test_a_click_sorts_by_number_and_another_turns_it(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    before = column(chromium, SCORES, 0)
    assert before == [model.name for model in MODELS]
    head = f"{SCORES}.tHead.rows[0].cells[1]"
    chromium.value(f"{head}.querySelector('button').click()")
    scores = list(map(float, column(chromium, SCORES, 1)))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100
    assert chromium.value(f"{head}.ariaSort") == "descending"
    chromium.value(f"{head}.querySelector('button').click()")
    assert list(map(float, column(chromium, SCORES, 1))) == sorted(scores)
    chromium.value(f"{SCORES}.tHead.rows[0].cells[0].querySelector('button').click()")
    assert column(chromium, SCORES, 0) == sorted(before, reverse=True)
    assert chromium.value(f"{head}.ariaSort") is None


@needs_browser
def test_rows_are_filtered_as_one_types(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    chromium.value("document.querySelector('#scores input').focus()")
    for letter in "GRPO":
        chromium.press(letter, letter)
    assert column(chromium, SCORES, 0) == ["sort-grpo", "reverse-grpo"]
    chromium.value(f"{SCORES}.tHead.rows[0].cells[1].querySelector('button').click()")
    assert sorted(column(chromium, SCORES, 0)) == ["reverse-grpo", "sort-grpo"]


@needs_browser
def test_the_keyboard_reaches_and_sorts_all(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    active = "document.activeElement"
    seen: list[str] = []
    for _ in range(400):
        chromium.press("Tab")
        kind = chromium.value(f"{active}.tagName")
        if kind == "BODY":
            break
        seen.append(kind)
        if chromium.value(f"{active}.closest('#scores') && {active}.closest('th')?.cellIndex === 2"):
            assert chromium.value(f"getComputedStyle({active}).outlineStyle") == "solid"
            chromium.press("Enter", "\r")
            break
    assert {"A", "BUTTON", "INPUT"} <= set(seen)
    assert chromium.value(f"{SCORES}.tHead.rows[0].cells[2].ariaSort") == "descending"
    scores = list(map(float, column(chromium, SCORES, 2)))
    assert scores == sorted(scores, reverse=True)
    chromium.value("document.querySelector('summary').focus()")
    chromium.press("Enter", "\r")
    assert chromium.value("document.querySelector('details').open") is True


@needs_browser
def test_what_models_say_is_shown_and_not_run(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    assert chromium.value("document.title") != "run"
    assert chromium.value("document.querySelectorAll('script').length") == 1
    assert chromium.value("document.querySelectorAll('img, iframe, base, bdi *').length") == 0
    table = "document.querySelector('table.samples')"
    shown = chromium.value(f"[...{table}.tBodies[0].rows].map((row) => row.cells[2].querySelector('bdi').textContent)")
    assert shown[:5] == EVIL[:5]
    assert shown[5] == r"\u202eevil\u202c \x1b[31mred\x1b[0m \x00 \u200b ?"
    assert column(chromium, table, 3) == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8"]
    assert chromium.complaints() == []


@needs_browser
def test_a_foreign_script_would_not_run(chromium: Browser, page: Path, tmp_path: Path) -> None:
    """Were a text put in as it is, the page's own policy would still hold it."""
    text = page.read_text(encoding="utf-8")
    hurt = "<script>document.title = 'run'</script><img src='https://example.org/x.png'>"
    (tmp_path / "hurt.html").write_text(text.replace("<h1>", f"{hurt}<h1>", 1), encoding="utf-8")
    chromium.open(tmp_path / "hurt.html")
    assert chromium.value("document.title") != "run"
    assert len(chromium.complaints()) >= 2
    blocked = [event["params"]["blockedReason"] for event in chromium.events if "loadingFailed" in event["method"]]
    assert blocked == ["csp"]
