import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.data.report import ReadReport
from mindmlm.data.sources import cleaning
from mindmlm.data.sources.base import Document
from mindmlm.data.sources.cleaned import Cleaning, cleaned
from mindmlm.data.sources.cleaning import STEPS, joined_lines
from mindmlm.data.sources.files import FileSource


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("nfc", "e\u0301 Ａ", "é Ａ"),
        ("nfkc", "Ａ①ﬁ，", "A1fi,"),
        ("full_width", "Ａｂ１２！\u3000中，。①", "Ab12! 中,。①"),
        ("control", "a\u200bb\x00c\ufeffd\te\u200df\n\ue000中\x7f", "abcd\te\u200df\n中"),
        ("html", "a < b && c <3", "a < b && c <3"),
        ("html", "<p>一<b>二</b></p><p>三&nbsp;&amp;&lt;</p>", "\n一二\n\n三\xa0&<\n"),
        ("html", "x<script>var a='<p>';</script>y<!-- no -->z<br/>end", "xyz\nend"),
        ("html", "keep <em>this", "keep this"),
        ("html", "a<img alt='>'/><!doctype html><?php x ?><x-y z=\">\">b<!-- open", "ab open"),
        ("html", "a<STYLE>p</Style >b<script>c", "abc"),
        ("whitespace", "  a \t\u3000b\xa0c \n  d", "a b c\nd"),
        (
            "sentences",
            "他说：“走吧！”我们走了。真的……吗？！好",
            "他说：“走吧！”\n我们走了。\n真的……\n吗？！\n好",
        ),
        (
            "sentences",
            "Pi is 3.14. Yes! See a.b.c; then stop.",
            "Pi is 3.14.\n Yes!\n See a.b.c;\n then stop.",
        ),
        ("sentences", "一行。\n二行。", "一行。\n二行。"),
    ],
)
def test_each_step(step: str, text: str, expected: str) -> None:
    assert STEPS[step](text) == expected


@given(st.text())
def test_control_removes_exactly_its_categories(text: str) -> None:
    expected = "".join(
        character
        for character in text
        if character in "\n\t\u200c\u200d" or unicodedata.category(character)[0] != "C"
    )
    assert cleaning.control(text) == expected


@given(st.text("。！？!?；;.…”’」)ab \n"))
def test_sentences_only_add_line_ends(text: str) -> None:
    assert cleaning.sentences(text).replace("\n", "") == text.replace("\n", "")


@given(st.lists(st.text("ab中文", min_size=1, max_size=20)), st.integers(1, 40))
def test_joined_lines_keep_the_text_and_the_limit(lines: list[str], limit: int) -> None:
    joined = list(joined_lines(lines, limit))
    assert "".join(joined).replace(" ", "") == "".join(lines)
    assert all(len(line) <= limit or line in lines for line in joined)
    assert not [a for a, b in pairwise(joined) if len(a) + len(b) + 1 <= limit]


def test_steps_run_in_their_order() -> None:
    document = Document(("<p>Ａ！  Ｂ。</p>",))
    assert Cleaning(("html", "sentences", "full_width")).lines(document) == ["A!", "B。"]
    assert Cleaning(("full_width", "sentences")).lines(document) == ["<p>A!", "B。", "</p>"]
    assert Cleaning(("html", "sentences"), join_lines_up_to=10).lines(document) == ["Ａ！Ｂ。"]


def test_a_source_is_cleaned_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("<br>\nＡ\n", encoding="utf-8")
    source = FileSource.of_paths(path)
    assert cleaned(source, Cleaning()) is source
    other = cleaned(source, Cleaning(("html", "nfkc")))
    documents = list(other.documents(ReadReport()))
    assert [document.lines for _, document in documents] == [("A",)]
    assert not list(other.documents(ReadReport(), start=documents[0][0]))
    assert other.identity() != cleaned(source, Cleaning(("nfkc", "html"))).identity()
