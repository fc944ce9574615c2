"""A run's name is a name, not a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.config.names import NameRefused, run_name


@pytest.mark.parametrize("name", ["kbr", "KBr-2026.11.22_a", "a" * 100, "...", "_", "1"])
def test_a_name_is_taken_as_it_is(name):
    assert run_name(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", """"" can't be a name: a name has at least one character"""),
        (".", """"." can't be a name: it means a folder that is there already"""),
        ("..", """".." can't be a name: it means a folder that is there already"""),
        ("a/b", """"a/b" can't be a name: a name is not a path, so it has no slash"""),
        ("..\\b", """"..\\\\b" can't be a name: a name is not a path, so it has no slash"""),
        ("a\0", """"a\\u0000" can't be a name: a name has no NUL character"""),
        ("-rf", """"-rf" can't be a name: it starts with "-", which commands take for an option"""),
        ("a b", """"a b" can't be a name: " " is not one of A-Z a-z 0-9 . _ -"""),
        ("é", """"é" can't be a name: "é" is not one of A-Z a-z 0-9 . _ -"""),
        ("a\n", """"a\\n" can't be a name: "\\n" is not one of A-Z a-z 0-9 . _ -"""),
    ],
)
def test_what_is_no_name_is_refused_with_its_rule(name, message):
    with pytest.raises(NameRefused) as refused:
        run_name(name)
    assert str(refused.value) == message


def test_a_name_of_101_characters_is_too_long():
    with pytest.raises(NameRefused, match=r"it has 101 characters, and a name has at most 100"):
        run_name("a" * 101)


@given(st.text(max_size=120))
def test_a_name_never_leaves_its_folder(text):
    try:
        name = run_name(text)
    except NameRefused:
        return
    assert set(name).isdisjoint("/\\\0 ~$*\n")
    assert name not in ("", ".", "..")
    assert not name.startswith("-")
