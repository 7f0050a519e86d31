"""How a response is judged: each verifier is `thicket/domains/verifiers/TYPE.py`."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Count, NonNegative, Positive, PositiveFloat, Share, Strict, form
from thicket.config.plugins import VERIFIERS, with_plugins
from thicket.config.sandbox import Sandbox


class ExactVerifier(Strict):
    """The response's text equals the answer, white space at the ends aside."""

    type: Literal["exact"]


class NumberVerifier(Strict):
    """A number in the response equals the answer's last number.

    3/4, 1,234.50, 50% (fifty) and 5e3 are numbers; powers (5²), times and ratios (5:00), dates (2024-05-03) are none.
    """

    type: Literal["number"]
    which: Literal["first", "last"] = "last"
    """Which number of the response counts."""
    tolerance: NonNegative = 0.0
    """Largest absolute difference that counts as equal."""


class ChoiceVerifier(Strict):
    """The option that the response announces, or else the first or last that stands alone, equals the answer.

    Announced is an option behind "answer is", "answer:" and the like, in a \\boxed{…}, or on a line of its own. Options
    that are named together ("A and B") are no answer, and "not A" names none.
    """

    type: Literal["choice"]
    options: (
        Annotated[str, form(r"^[A-Za-z0-9]{2,}$", "two letters or digits at least")]
        | Annotated[list[Annotated[str, form(r"^\w{2,}$", "a word of two letters at least")]], Field(min_length=2)]
    ) = "ABCDE"
    """Letters or digits in one text (`ABCD`), or a list of words, which count in any case (`["yes", "no"]`). Letters
    count in the other case only where it marks them: "(b)", "answer: b", "b" by itself."""
    which: Literal["first", "last"] = "first"
    """Which of several options counts, of those that the response announces, or else of all: the first suits a bare
    answer, the last one that ends a chain of thought."""


class MathVerifier(Strict):
    """The response's last answer equals the reference as mathematics, by the package math-verify.

    The answer is what stands in the last \\boxed{…}, else the last formula in dollar signs or the last number; both
    sides are parsed as LaTeX and compared with sympy (https://github.com/huggingface/Math-Verify): 1/2 = 0.5 =
    \\frac12 and 0.\\overline{3} = 1/3. A percentage next to an answer without a percent sign is its number or its
    value: for 50% also 50 and 0.5, for 50 also 50%, for 0.5 also 50%. Ratios equal ratios alone (3:4 = 6:8), {1,2} is
    no (1,2), and as texts are compared times (10:08), numerals with a base (12_8) and words: \\text{…}, or plain ones
    of which one has three letters (`cat`, but not `ab`).
    """

    type: Literal["math"]
    seconds: PositiveFloat = 5.0
    """Wall time for one response, after which it is wrong with the reason `time limit`: sympy may hang on an answer
    that is malformed on purpose. math-verify's own default is 5 s for the parsing and 5 s for the comparison."""


class CountdownVerifier(Strict):
    """An expression over the item's numbers has the item's target as its value.

    The expression is what stands in the last <answer>…</answer>, else in the last line: numbers, + - * / (also × ÷ −, x
    between numbers, \\times, \\frac), brackets and at most one equals sign with the target on its other side. Words
    and numbers by themselves around it are remarks; of several different expressions none counts. It is parsed,
    never run, and computed with exact fractions. The game is that of TinyZero
    (https://github.com/Jiayi-Pan/TinyZero), the measure of arXiv 2603.12228 and 2509.24372.
    """

    type: Literal["countdown"]
    all_numbers: bool = True
    """Every number has to be used, exactly once; false: at most once."""


class Bounds(Strict):
    """A range of a count; null on a side: no bound there."""

    least: Count | None = None
    """Smallest count that passes."""
    most: Count | None = None
    """Largest count that passes."""

    @model_validator(mode="after")
    def _not_empty(self) -> "Bounds":
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"`least` ({self.least}) is above `most` ({self.most}): no text passes")
        return self


class JudgeModel(Strict):
    """A language model that scores what passes the checks (LLM as a judge, Zheng et al. 2023, arXiv 2306.05685).

    Partial credit of the checks does not count beside it: what they refuse would earn more than what it refuses.
    """

    folder: str | None = None
    """Folder of the model that judges, relative to the project's root; null: the model that answers judges itself, as
    it is at that moment (of an ensemble that votes or is sampled, the model that its members are perturbations of).
    That can flatter: for scores that are compared, name one folder for all."""
    template: str = (
        "Task: {question}\n\nText: {response}\n\nHow well does the text do the task? Give a number from 1 (not at all) "
        "to 10 (perfectly).\nScore:"
    )
    """What the judge is asked, with {question} and {response} in their places; a chat turn where it knows chats."""
    accepted: NonNegative = 7.0
    """Scores of at least this are correct; the first number of the reply is the score."""
    tokens: Positive = 8
    """Longest reply, in tokens."""

    @model_validator(mode="after")
    def _shows_the_response(self) -> "JudgeModel":
        if "{response}" not in self.template:
            raise ValueError("`template` needs {response}, the place where the text goes")
        return self


class WritingVerifier(Strict):
    """A text keeps within every bound that is set; a blank one keeps within none."""

    type: Literal["writing"]
    words: Bounds = Bounds()
    """Words: runs of letters, digits and underscores."""
    sentences: Bounds = Bounds()
    """Sentences, counted by their punctuation; a rest without any counts as one."""
    paragraphs: Bounds = Bounds()
    """Paragraphs: what blank lines separate."""
    required: list[str] = []
    """Words or phrases that stand in the text, outside longer words, in any case."""
    forbidden: list[str] = []
    """Words or phrases that don't."""
    starts_with: str | None = None
    """What the text begins with, white space aside; null: anything."""
    ends_with: str | None = None
    """What the text ends with, white space aside; null: anything."""
    alphabet: str | None = None
    """Script of the text's letters, as the first word of their Unicode names (`LATIN`, `GREEK`, `CYRILLIC`, `CJK`);
    null: any."""
    alphabet_share: Share = 1.0
    """Least share of the letters that are of that script."""
    ngram: Positive = 4
    """n of the n-grams of words by which repetition is measured."""
    distinct: Share = 0.0
    """Least share of different n-grams among all n-grams (distinct-n, Li et al. 2016, arXiv 1510.03055), letter case
    aside; a text without any has 1."""
    judge: JudgeModel | None = None
    """A model's verdict on what keeps within the bounds; null: the bounds alone decide."""


class InstructionsVerifier(Strict):
    """All of an IFEval prompt's instructions are followed."""

    type: Literal["instructions"]
    mode: Literal["strict", "loose"] = "strict"
    """`loose` also accepts the response without its first or last line, or without asterisks (arXiv 2311.07911 §2)."""


CODE_TESTS = ("tests", "check", "functional", "stdin")
"""Keys of an item's reference, of which one with tests of code has one: which form the tests have."""


class CodeVerifier(Sandbox):
    """The program in the response passes the item's unit tests, each program run in a sandbox of its own."""

    type: Literal["code"]
    prelude: str = ""
    """Python that stands before every program, such as imports that a benchmark takes for granted."""
    tolerance: NonNegative = 0.0
    """Largest absolute difference between numbers that a whole program prints and those expected; 0: texts are
    compared, line by line without the white space around."""


class ReasoningGymVerifier(Sandbox):
    """The scorer that the item's reasoning-gym task brings along; one that evaluates the response runs in a sandbox."""

    type: Literal["reasoning-gym"]
    threshold: Share = 1.0
    """Scores of at least this are correct (the scorers give partial credit for form)."""
    partial: bool = False
    """Training rewards the score itself, and not whether it reaches the threshold."""


Own = (
    ExactVerifier
    | NumberVerifier
    | ChoiceVerifier
    | MathVerifier
    | CountdownVerifier
    | WritingVerifier
    | InstructionsVerifier
    | ReasoningGymVerifier
    | CodeVerifier
)
if TYPE_CHECKING:
    Verifier = Own
else:
    Verifier = with_plugins(VERIFIERS, Own)
