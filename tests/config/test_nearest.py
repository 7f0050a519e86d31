"""What a typo most likely meant."""

import pytest

from thicket.config.problems import mendings, nearest


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("gpro", "grpo", 1),  # two neighbours swapped
        ("gpro", "gspo", 2),
        ("kitten", "sitting", 3),
        ("ca", "abc", 3),  # 2 where swapped letters may be edited again
    ],
)
def test_mendings(one: str, other: str, count: int) -> None:
    assert mendings(one, other) == mendings(other, one) == count


@pytest.mark.parametrize(
    ("given", "allowed", "meant"),
    [
        ("gpro", ["dapo", "dr-grpo", "grpo", "gspo", "ppo"], "grpo"),
        ("gpro", ["gspo", "grpo"], "grpo"),
        ("dpao", ["dapo", "dare"], "dapo"),
        ("sotf", ["sort", "soup", "soft"], "soft"),
        ("ab", ["ac", "ad"], "ac"),  # alike: the first
        ("revers-grpo", ["sort-grpo", "reverse-grpo"], "reverse-grpo"),
        ("sort", ["soup", "sort-grpo"], "sort-grpo"),
        ("xyz", ["grpo"], ""),
        ("grpo", [], ""),
    ],
)
def test_nearest(given: str, allowed: list[str], meant: str) -> None:
    assert nearest(given, allowed) == meant
