"""Whole programs in a box, and the values that a program gives its tests."""

from textwrap import dedent

from boxes import BOX, needs_box

from thicket.domains.sandbox.run import Ending, run_program


@needs_box
def test_a_whole_program_reads_and_prints() -> None:
    program = "import sys\nfor line in sys.stdin:\n    print(int(line) + 1)"
    assert run_program(program, BOX, given="1\n2\n") == Ending(True, "", "2\n3\n")
    assert run_program("print('é', end='')\nimport sys\nsys.exit(3)", BOX) == Ending(True, "", "é")
    assert run_program("print(1, flush=True)\nimport os\nos.abort()", BOX) == Ending(False, "crashed (SIGABRT)", "1\n")
    assert run_program("print(x)", BOX) == Ending(False, "exception: NameError", "")
    assert run_program("print(list({'a', 'b', 'c'}))", BOX) == run_program("print(list({'a', 'b', 'c'}))", BOX)


@needs_box
def test_a_program_has_other_values_than_plain_data() -> None:
    program = """
        class Pair:
            def __init__(self, a, b):
                self.a, self.b = a, b
            def total(self):
                return self.a + self.b
        def swap(pair):
            return Pair(pair.b, pair.a)
        def without(values, kind):
            return [value for value in values if type(value) is not kind]
        def adder(x):
            return lambda y: x + y
        def many():
            return 10**5000, 2.5, float("inf"), 3j, b"x", (1, [2]), {1: {2}}, frozenset({3}), None, True, "\\ud800"
        def count():
            yield from range(3)
        def refuse():
            raise KeyError("no")
    """
    tests = """
        pair = swap(Pair(1, 2))
        assert (pair.a, pair.total()) == (2, 3)
        pair.b = pair
        pair.b.a = 7
        assert pair.a == 7
        assert without((1, 2.5, "a"), int) == [2.5, "a"]
        assert adder(1)(2) == 3
        inf = float("inf")
        assert many() == (10**5000, 2.5, inf, 3j, b"x", (1, [2]), {1: {2}}, frozenset({3}), None, True, "\\ud800")
        assert count() != [0, 1, 2] and list(count()) == [0, 1, 2]
        try:
            refuse()
        except KeyError as error:
            assert error.args == ("'no'",)
        else:
            assert False
    """
    assert run_program(dedent(program), BOX, dedent(tests)) == Ending(True, "", "")
