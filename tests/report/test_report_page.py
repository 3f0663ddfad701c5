"""The page: hostile texts do nothing, it loads nothing, and it can be read without sight and without colour."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import Environment, PackageLoader

from reticent.report import REGULATIONS, Facts, html, render, review, write_page
from reticent.report.wording import down, percent_up, up

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "</title></desc></svg><iframe src='https://evil.example'>",
    "{{ 7 * 191 }}{% raw %}",
)
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Outline(HTMLParser):
    """Tags with their attributes, the text of each, and whether tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.style = ""
        self.feed(page)
        assert self.open == [], "tags are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def _hostile(facts: Facts, attack: str) -> Facts:
    """Return the facts with every text that comes from outside replaced by `attack`."""

    kept = {"unit", "relation", "schema_version", "protocol", "technique", "protects"}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item if key in kept else walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return attack if isinstance(value, str) else value

    stated = walk(facts.model_dump(mode="json"))
    stated["settings"] = {attack: attack}
    stated["versions"] = {attack: attack}
    for line in stated["rounds"]:
        line["absent"] = {attack: attack}
    return Facts.model_validate(stated)


def _does_something(page: str) -> list[str]:
    """Return what in a page could act or load: nothing in ours."""
    found = []
    for tag, attributes in Outline(page).tags:
        if tag in {"script", "iframe", "object", "embed", "link", "base", "form", "img", "input", "button"}:
            found.append(tag)
        found += [f"{tag} {name}" for name in attributes if name.startswith("on") or name in {"style", "src", "action"}]
        target = attributes.get("href")
        if target is not None and not target.startswith("#"):
            found.append(f"{tag} href {target}")
    return found


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_texts_are_shown_and_do_nothing(facts: Facts, attack: str) -> None:
    hostile = _hostile(facts, attack)
    pages = [render(hostile, folder_name=attack), *(review(hostile, law) for law in REGULATIONS)]
    for page in pages:
        assert _does_something(page) == []
        assert attack not in page or attack.startswith("{{")
        assert "1337" not in page
        assert len(Outline(page).all("style", "title")) >= 2


def test_a_broken_copy_without_escaping_is_caught(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless() -> Environment:
        made = Environment(loader=PackageLoader("reticent.report", "."), autoescape=False)
        made.filters |= html.environment().filters
        return made

    hostile = _hostile(facts, ATTACKS[0])
    careless_environment = careless()
    monkeypatch.setattr(html, "environment", lambda: careless_environment)
    assert "script" in _does_something(render(hostile))


@pytest.fixture(scope="module")
def page(facts: Facts) -> str:
    return render(facts)


def test_the_policy_allows_this_style_sheet_and_nothing_else(page: str) -> None:
    outline = Outline(page)
    policy = next(m["content"] for m in outline.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(outline.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "unsafe" not in policy
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_page_is_small_and_self_contained(facts: Facts, tmp_path: Any) -> None:
    path = write_page(facts, tmp_path / "report.html")
    assert path.stat().st_size < 150_000
    assert str(tmp_path) not in path.read_text(), "a path of this machine is nobody's business"
    assert _does_something(path.read_text()) == []


def test_a_large_run_stays_below_a_megabyte(facts: Facts) -> None:
    sites = tuple(facts.sites[0].model_copy(update={"name": f"site-{i}"}) for i in range(100))
    names = tuple(site.name for site in sites)
    one = facts.rounds[0].model_copy(update={"contributors": names[:90], "absent": dict.fromkeys(names[90:], "late")})
    rounds = tuple(one.model_copy(update={"round": i}) for i in range(1, 501))
    files = tuple(facts.files[0].model_copy(update={"file": f"round-{i}"}) for i in range(500))
    large = facts.model_copy(update={"sites": sites, "rounds": rounds, "files": files})
    assert len(render(large).encode()) < 1_000_000


def test_landmarks_headings_and_anchors(page: str) -> None:
    outline = Outline(page)
    tags = Counter(tag for tag, _ in outline.tags)
    assert tags["main"] == tags["header"] == tags["footer"] == tags["nav"] == tags["h1"] == 1
    assert dict(outline.tags)["html"]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(ids) == len(set(ids)), "an id is used twice"
    for attributes in outline.all("a"):
        assert (attributes["href"] or "").removeprefix("#") in ids
    named = [a for _, a in outline.tags if "aria-labelledby" in a]
    assert all(part in ids for a in named for part in (a["aria-labelledby"] or "").split())
    assert outline.all("a")[0]["class"] == "skip"


def test_tables_say_what_their_headers_belong_to(page: str) -> None:
    outline = Outline(page)
    assert outline.all("th")
    assert all(a.get("scope") in {"col", "row", "rowgroup"} for a in outline.all("th"))
    bodies = re.findall(r"<tbody>.*?</tbody>", page, flags=re.DOTALL)
    assert all("<th scope" in body or "colspan" in body for body in bodies)


def test_every_drawing_has_a_role_a_title_and_a_description(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 7 + 4
    for drawing in drawings:
        assert 'role="img"' in drawing
        assert re.search(r"<title id=\"[^\"]+\">[^<]{5,}</title><desc id=\"[^\"]+\">[^<]{20,}</desc>", drawing)
    assert "3.00 of 4 spent</span>" in page, "a budget bar has its words beside it"


def _colours(css: str) -> list[dict[str, str]]:
    return [
        dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{3,6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_text_has_enough_contrast_in_light_dark_and_print() -> None:
    """WCAG 2.2, success criterion 1.4.3 for text and 1.4.11 for marks of a figure."""
    palettes = _colours(str(html.stylesheet()))
    assert len(palettes) == 3
    assert _contrast("#000", "#fff") == pytest.approx(21)
    for palette in palettes:
        for ink in ("ink", "soft", "accent", "warn"):
            for ground in ("paper", "fill", "accent-soft"):
                assert _contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground, palette)


def test_the_style_sheet_serves_dark_print_and_narrow() -> None:
    css = str(html.stylesheet())
    assert "prefers-color-scheme: dark" in css
    assert "@media print" in css
    assert "max-width: 34rem" in css
    assert "animation" not in css
    assert "transition" not in css


def test_epsilon_stands_with_delta_unit_and_against_whom(page: str) -> None:
    block = page[page.index('<div class="promise">') : page.index('<div class="pair">')]
    for word in ("Epsilon", "3.00", "Delta", "0.00001", "one person", "Holds against", "everyone but", "Of 100"):
        assert word in block


def test_no_word_claims_more_than_the_facts(page: str, facts: Facts) -> None:
    for shown in (page, *(review(facts, law) for law in REGULATIONS)):
        text = shown.replace("(safe harbor)", "")  # the name of a section of the law
        assert not re.search(r"anonym|complian|complies|GDPR-ready|\bsafe\b", text, flags=re.IGNORECASE)


def test_bounds_are_rounded_towards_the_careful_side() -> None:
    assert up(2.9801) == "2.99"
    assert up(0.0001) == "0.01"
    assert up(None) == "no bound"
    assert down(0.999) == "0.99"
    assert percent_up(0.20001).startswith("20.1")


def test_where_labels_alone_are_protected_no_sentence_promises_more(facts: Facts) -> None:
    """Activations travel as they are then: no answer to a provision may say that the record is protected."""
    assert facts.promise is not None
    promise = facts.promise.model_copy(update={"protects": "labels", "relation": "replace_one", "unit": "record"})
    leak = [{"what": "activations", "value": 0.9, "words": "0 to 1", "measured_on": "canaries"}]
    model = {**facts.model.model_dump(), "technique": "split learning"}
    changed = {"promise": promise.model_dump(), "leakage": leak, "model": model}
    labels = Facts.model_validate({**facts.model_dump(), **changed})
    text = " ".join(re.sub(r"<[^>]+>", " ", render(labels)).split())
    assert "the label of one record, and nothing else of it" in text
    assert "of labels, and of nothing else" in text
    assert "of the labels rightly; counting every release" in text
    for more in ("one record (a person", "of those who took part", "bounds what any attack finds."):
        assert more not in text
    for law in REGULATIONS:
        answers = " ".join(re.sub(r"<[^>]+>", " ", review(labels, law)).split())
        for more in ("noise is added there before anything", "can depend on one record", "Protected is one"):
            assert more not in answers
