import pytest

from tools.rules.structure import FILE_LINES, FUNCTION_LINES, check, mirrored_test

WORK = "def work():\n    return 1\n"
TEST = "def test_work():\n    assert True\n"


def texts(*files: tuple[str, str]) -> list[str]:
    return [str(breach) for breach in check(files)]


def test_a_module_and_its_test_are_no_breach():
    assert texts(("shared/a.py", WORK), ("tests/unit/shared/test_a.py", TEST)) == []


def test_a_module_without_its_test_and_a_test_without_its_module_are_named():
    assert texts(("shared/a.py", WORK)) == ["shared/a.py:1: has no test file tests/unit/shared/test_a.py"]
    assert texts(("tests/unit/shared/test_a.py", TEST)) == [
        "tests/unit/shared/test_a.py:1: tests no module that exists under the mirrored path"
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/x/ports.py", "class P:\n    def read(self) -> bytes:\n        '''Reads.'''\n"),
        ("services/x/ports.py", "class P:\n    def read(self) -> bytes: ...\n"),
        ("shared/contracts/x.py", "A = 1\n"),
        ("services/x/__main__.py", WORK),
        ("services/x/__init__.py", "'''Says what it is.'''\n"),
    ],
)
def test_declarations_and_processes_need_no_mirror(path, text):
    assert texts((path, text)) == []


def test_main_modules_may_have_a_test():
    assert mirrored_test("tools/x/__main__.py") == "tests/unit/tools/x/test_main.py"
    assert texts(("tools/x/__main__.py", WORK), ("tests/unit/tools/x/test_main.py", TEST)) == []


def test_long_files_and_functions_are_breaches():
    long_function = "def test_f():\n" + "    assert 1\n" * FUNCTION_LINES
    assert texts(("tests/system/test_x.py", long_function)) == [
        f"tests/system/test_x.py:1: test_f has {FUNCTION_LINES + 1} lines; at most {FUNCTION_LINES}"
    ]
    assert len(texts(("tests/support/x.py", "a = 1\n" * (FILE_LINES + 1)))) == 1


@pytest.mark.parametrize(
    "body",
    ["assert x", "with pytest.raises(ValueError):\n        x()", "assert_equal(1, 1)", "self.check_all()"],
)
def test_what_counts_as_asserting(body):
    assert texts(("tests/system/test_x.py", f"def test_f():\n    {body}\n")) == []


def test_empty_and_skipped_tests_are_breaches():
    assert "asserts nothing" in texts(("tests/system/test_x.py", "def test_f():\n    work()\n"))[0]
    assert "not skipped" in texts(("tests/system/test_x.py", "@pytest.mark.skip\ndef test_f():\n    assert 1\n"))[0]
