import re

from matplotlib.figure import Figure

from recsys_cli.reports.page import Drawing, Section, Table, page


def drawing() -> Drawing:
    figure = Figure(figsize=(3, 2))
    panel = figure.subplots()
    panel.plot([1, 2], [3, 4], label="a line")
    panel.legend()
    return Drawing(figure, "What it shows.")


def test_a_page_is_one_file_with_nothing_from_elsewhere():
    text = page("T", "lead", [Section("S", [drawing(), drawing()])])
    assert text.startswith("<!doctype html>")
    assert not re.search(r"https?:|//|xmlns|<script|<link|@import|<!DOCTYPE", text)
    assert "a line</text>" in text
    assert "What it shows." in text


def test_the_drawings_of_a_page_keep_their_names_apart():
    text = page("T", "", [Section("S", [drawing(), drawing()])])
    names = re.findall(r'id="([^"]+)"', text)
    assert len(names) == len(set(names)) > 10
    for target in re.findall(r'(?:url\(#|href="#)([^")]+)', text):
        assert target in names


def test_what_others_wrote_is_text_and_no_secret_is_shown():
    table = Table(("a<b", "n"), [("<script>alert(1)</script>", "1")])
    text = page("<b>", "postgresql://me:word@host/db", [Section("&", [table, "x < y"])])
    assert "<script>" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text
    assert "me:word" not in text
    assert "x &lt; y" in text


def test_texts_stand_left_and_numbers_right_and_an_empty_section_is_left_out():
    text = page("T", "", [Section("Gone", []), Section("S", [Table(("m", "n"), [("x", "1")])])])
    assert '<td class="text">x</td><td>1</td>' in text
    assert "Gone" not in text


def test_the_same_drawing_is_the_same_text():
    assert page("T", "", [Section("S", [drawing()])]) == page("T", "", [Section("S", [drawing()])])
