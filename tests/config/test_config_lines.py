"""Every key's line, in every way that TOML lets a person write one."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from rocksalt.config.lines import key_lines

EVERYTHING = '''\
# a comment = 1
top = "[no.table]"   # = 2
"quoted \\u00e9.key" = 'literal # not a comment'
'single.quoted'.inner = 1
spaced . out = 2979-05-27 07:32:00

[first]
text = """
[not.a.table]
key = "no key" \\"""
still the text"""""
literal = \'\'\'
a = [1
\\\'\'\'
after = [ # comment ]
  1, { x = 1, y.z = [2] },
  [ "]", ']' ],
]
empty = []
inline = { a = 1, "b c" = { d = 2 } }

[[repeated]]
n = 1
[repeated.sub]
m = 1
[[repeated]]
n = 2
[[repeated.deep]]
k = 1

[implied.by.this]
v = 1
[implied]
w = 1
'''


def test_every_form_of_key_is_found_on_its_line():
    tomllib.loads(EVERYTHING)
    assert key_lines(EVERYTHING) == {
        ("top",): 2,
        ("quoted é.key",): 3,
        ("single.quoted",): 4,
        ("single.quoted", "inner"): 4,
        ("spaced",): 5,
        ("spaced", "out"): 5,
        ("first",): 7,
        ("first", "text"): 8,
        ("first", "literal"): 12,
        ("first", "after"): 15,
        ("first", "after", 0): 16,
        ("first", "after", 1): 16,
        ("first", "after", 1, "x"): 16,
        ("first", "after", 1, "y"): 16,
        ("first", "after", 1, "y", "z"): 16,
        ("first", "after", 1, "y", "z", 0): 16,
        ("first", "after", 2): 17,
        ("first", "after", 2, 0): 17,
        ("first", "after", 2, 1): 17,
        ("first", "empty"): 19,
        ("first", "inline"): 20,
        ("first", "inline", "a"): 20,
        ("first", "inline", "b c"): 20,
        ("first", "inline", "b c", "d"): 20,
        ("repeated",): 22,
        ("repeated", 0): 22,
        ("repeated", 0, "n"): 23,
        ("repeated", 0, "sub"): 24,
        ("repeated", 0, "sub", "m"): 25,
        ("repeated", 1): 26,
        ("repeated", 1, "n"): 27,
        ("repeated", 1, "deep"): 28,
        ("repeated", 1, "deep", 0): 28,
        ("repeated", 1, "deep", 0, "k"): 29,
        ("implied",): 33,
        ("implied", "by"): 31,
        ("implied", "by", "this"): 31,
        ("implied", "by", "this", "v"): 32,
        ("implied", "w"): 34,
    }


def test_windows_line_ends_change_nothing():
    assert key_lines(EVERYTHING.replace("\n", "\r\n")) == key_lines(EVERYTHING)


def test_a_text_without_keys_has_no_lines():
    assert key_lines("# nothing\n\n") == {}


def keys_of(value, at=()):
    """All key paths of parsed TOML."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*at, name)
        yield from keys_of(inner, (*at, name))


QUOTES = ['"', "'", '"""', "'''"]
SIGNS = ["[", "]", "[[", "]]", "{", "}", "=", ".", ",", "#", "\n", " ", "a", "b", "1", "\\", "\\n", "é"]
PIECES = st.sampled_from([*QUOTES, *SIGNS])
LINES = st.sampled_from(
    ["a = 1\n", "[a]\n", "[[b]]\n", "[b.c]\n", "c = [1,\n2]\n", 'd = """\n"""\n', "'e f' = {g = 1}\n"]
)


@given(st.lists(LINES | PIECES, max_size=12).map("".join))
def test_whatever_tomllib_accepts_has_a_line_for_every_key_and_no_other(text):
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = key_lines(text)
    assert set(lines) == set(keys_of(data))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
