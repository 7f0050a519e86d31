"""The choice among merged models, by the selection items of the student's domains."""

from collections.abc import Callable, Sequence
from functools import partial

from transformers import PreTrainedModel

from thicket.config.answering import Answering
from thicket.config.stages import StudentStage
from thicket.methods.recipe import Recipe
from thicket.models.folder import active_parameter_count, load_tokenizer
from thicket.stages.outcome import Outcome, Places
from thicket.stages.selection import Tried, tried
from thicket.stages.trials import Trials
from thicket.training.curves import Row
from thicket.training.ledger import Ledger


class Choice:
    """Scores recipes one after the other, and remembers what each came to."""

    def __init__(self, config: StudentStage, samples: int, make: Callable[[Recipe], PreTrainedModel], places: Places):
        """`samples`: responses to each selection item; `make`: the model of a recipe."""
        self.config, self.samples, self.make, self.places = config, samples, make, places
        base = places.models / config.base
        self.trials, self.tokenizer = Trials(places.resume), load_tokenizer(base)
        self.ledger = Ledger(active_parameter_count(base))
        self.scored: dict[Recipe, float] = {}
        self._rows: list[tuple[Recipe, Row]] = []

    def score(self, recipe: Recipe) -> float:
        """Share of correct sampled answers, the mean over the domains. Raises: Interrupted."""
        found = self.trials.take(partial(self._try_out, recipe))
        self.ledger.forward(found.read)
        self.ledger.generated(found.generated)
        self.scored[recipe] = found.score
        names = [ingredient.name for ingredient in recipe.ingredients]
        row = {"step": len(self.scored), "flops": self.ledger.flops, "scale": recipe.scale, "selection": found.score}
        # A model that joins others comes last.
        joins = 1 + [teacher.name for teacher in self.config.teachers].index(names[-1])
        self._rows.append((recipe, {**row, "teacher": joins, "ingredients": len(names)}))
        shown = f"{' + '.join(names)}, λ {recipe.scale:g}"
        print(f"student {self.config.name}: {found.score:.3f} on the selection items: {shown}", flush=True)
        return found.score

    def _try_out(self, recipe: Recipe) -> Tried:
        title = f"student {self.config.name}, candidate {len(self.scored) + 1}"
        model = self.make(recipe)
        return tried(self.config, Answering(), model, self.tokenizer, self.places.data, self.samples, title)

    def outcome(self, chosen: Recipe, parents: Sequence[str]) -> Outcome:
        """The report of a run that publishes `chosen`; a row's model is taken where what it adds is in that."""
        rows = [
            {**row, "taken": float(recipe.ingredients[-1] in chosen.ingredients and recipe.scale == chosen.scale)}
            for recipe, row in self._rows
        ]
        return Outcome(
            parents=parents,
            domains=[domain.name for domain in self.config.domains],
            ledger=self.ledger,
            seconds=sum(one.seconds for one in self.trials.taken),
            steps=len(rows),
            selection=self.scored[chosen],
            rows=rows,
        )
