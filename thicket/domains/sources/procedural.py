"""Generated tasks over a small alphabet, with the ways in which a writer may get them systematically wrong.

The wrong ways make the corpus of experiment `tiny`: the base model learns the experts and their rivals.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from thicket.config.source import ProceduralSource
from thicket.domains.item import RawItem

LETTERS = "abcdefghij"
DIGITS = "0123456789"

Solve = Callable[[str], str]


@dataclass(frozen=True)
class Task:
    """A task: how an instance of a level is drawn, how it is solved, and how it is solved wrongly."""

    draw: Callable[[random.Random, int], str]
    """(generator, level) → the instance, as it stands in the question after the task's name."""
    solve: Solve
    wrong: tuple[Solve, ...]
    """Systematic mistakes; on some instances a mistake gives the right answer, as mistakes do."""


def _digits(rng: random.Random, level: int) -> str:
    return "".join(rng.choices(DIGITS, k=level))


def _letters(rng: random.Random, level: int) -> str:
    return "".join(rng.choices(LETTERS, k=level))


def _few_letters(rng: random.Random, level: int) -> str:
    """Letters out of three, so that some come again."""
    return "".join(rng.choices(rng.sample(LETTERS, 3), k=level))


def _digits_one_odd(rng: random.Random, level: int) -> str:
    """Digits of which at least one is odd, so that no answer is empty."""
    digits = [*rng.choices(DIGITS, k=level - 1), rng.choice(DIGITS[1::2])]
    rng.shuffle(digits)
    return "".join(digits)


def _sum(rng: random.Random, level: int) -> str:
    """Two numbers of `level` digits."""
    low, high = (0 if level == 1 else 10 ** (level - 1)), 10**level - 1
    return f"{rng.randint(low, high)} + {rng.randint(low, high)}"


def _word_and_letter(rng: random.Random, level: int) -> str:
    """A word of `level` letters out of three, and the letter to count."""
    letters = rng.sample(LETTERS, 3)
    return f"{rng.choice(letters)} {''.join(rng.choices(letters, k=level))}"


def _add(instance: str) -> str:
    left, right = instance.split(" + ")
    return str(int(left) + int(right))


def _add_without_carry(instance: str) -> str:
    left, right = instance.split(" + ")
    return "".join(str((int(a) + int(b)) % 10) for a, b in zip(left, right, strict=True))


def _subtract(instance: str) -> str:
    left, right = instance.split(" + ")
    return str(abs(int(left) - int(right)))


def _count(instance: str) -> str:
    letter, word = instance.split()
    return str(word.count(letter))


def _count_others(instance: str) -> str:
    letter, word = instance.split()
    return str(len(word) - word.count(letter))


def _count_length(instance: str) -> str:
    return str(len(instance.split()[1]))


def _shift(text: str, by: int) -> str:
    return "".join(LETTERS[(LETTERS.index(letter) + by) % len(LETTERS)] for letter in text)


def _swap(text: str) -> str:
    """Neighbours change places, two by two."""
    return "".join(text[i : i + 2][::-1] for i in range(0, len(text), 2))


def _plus(digits: str, sign: int, more: int) -> str:
    """`more` plus or less each digit, without carrying."""
    return "".join(str((sign * int(digit) + more) % 10) for digit in digits)


TASKS: dict[str, Task] = {
    "sort": Task(
        _digits,
        solve=lambda s: "".join(sorted(s)),
        wrong=(lambda s: "".join(sorted(s, reverse=True)), lambda s: s),
    ),
    "reverse": Task(_letters, solve=lambda s: s[::-1], wrong=(lambda s: s, lambda s: s[1:] + s[:1])),
    "add": Task(_sum, solve=_add, wrong=(_add_without_carry, _subtract)),
    "count": Task(_word_and_letter, solve=_count, wrong=(_count_others, _count_length)),
    "odd": Task(
        _digits_one_odd,
        solve=lambda s: "".join(d for d in s if int(d) % 2),
        wrong=(lambda s: "".join(d for d in s if not int(d) % 2), lambda s: s),
    ),
    "shift": Task(_letters, solve=lambda s: _shift(s, 1), wrong=(lambda s: _shift(s, -1), lambda s: _shift(s, 2))),
    "swap": Task(_letters, solve=_swap, wrong=(lambda s: s, lambda s: s[:1] + _swap(s[1:]))),
    "double": Task(_letters, solve=lambda s: "".join(c + c for c in s), wrong=(lambda s: s + s, lambda s: s)),
    "unique": Task(
        _few_letters, solve=lambda s: "".join(dict.fromkeys(s)), wrong=(lambda s: s, lambda s: "".join(sorted(set(s))))
    ),
    "largest": Task(_digits, solve=max, wrong=(min, lambda s: s[:1])),
    "nines": Task(_digits, solve=lambda s: _plus(s, -1, 9), wrong=(lambda s: s, lambda s: _plus(s, 1, 1))),
    "mirror": Task(_letters, solve=lambda s: s + s[::-1], wrong=(lambda s: s + s, lambda s: s[::-1])),
}


def question(source: ProceduralSource, instance: str) -> str:
    """The text of a question: the task's name, if it is to stand there, and the instance."""
    return f"{source.task} {instance}" if source.named else instance


def raw_items(source: ProceduralSource, seed: int) -> Iterator[RawItem]:
    """Endless items, levels drawn evenly; repeats are possible."""
    rng = random.Random(f"{source.task}:{seed}")
    task = TASKS[source.task]
    while True:
        level = rng.choice(source.levels)
        instance = task.draw(rng, level)
        yield RawItem(question(source, instance), task.solve(instance), level)


def longest_question(source: ProceduralSource) -> int:
    """Characters of the longest question, found by drawing one of the highest level (a level fixes the length)."""
    task = TASKS[source.task]
    return len(question(source, task.draw(random.Random(0), max(source.levels))))
