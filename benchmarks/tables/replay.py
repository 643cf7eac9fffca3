"""Searches on a table: proposers are answered with recorded runs, and race on other draws than they are judged on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.search_quality.rivals import OnNumbers, tpe
from benchmarks.tables.analysis import scores
from benchmarks.tables.maps import OFF, mapping_of, uniform
from benchmarks.tables.table import Floats, Table
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.search_problem import Proposal, SearchProblem
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Trial
from mapsearch.proposers.model_search import propose_by_model
from mapsearch.proposers.random_search import propose_random
from mapsearch.search import n_raced, n_shortlisted

Propose = Callable[[SearchProblem, Sequence[Trial], int], Proposal]

PROPOSERS: dict[str, tuple[Callable[[], Propose], bool]] = {
    "model": (lambda: propose_by_model, True),
    "model, no prior": (lambda: propose_by_model, False),
    "random": (lambda: propose_random, True),
    "random, no prior": (lambda: propose_random, False),
    "tpe": (lambda: OnNumbers(tpe), True),
}
"""Who proposes, and whether drawn curves may follow the similarity."""
N_FINALISTS = 3


@dataclass(frozen=True)
class Replay:
    """One table as a search meets it: proposals are taken to be the nearest mapping that the table has."""

    table: Table
    seed: int

    @property
    def space(self) -> RecipeSpace:
        """Layers of equal width by the names of the table."""
        sizes = {"student": len(self.table.maps[0]), "teacher": self.table.n_teacher}
        return RecipeSpace(
            *(tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in sizes.items())
        )

    def problem(self, *, prior: bool) -> SearchProblem:
        """Mappings alone are searched, with one teacher layer a row on curves."""
        share = 0.5
        choices = SpaceSpec(
            loss=("nmse",), projector=("none",), feature_share=(share, share), anneal=(None,), lr=(1.0,),
            max_teachers=1, similarity_weight=(-2.0, 2.0) if prior else (0.0, 0.0),
        )  # fmt: skip
        z = tuple(map(tuple, self.table.similarity["untrained"]["cka, as the prior"].tolist()))
        return SearchProblem(self.space, choices, z, Recipe(output_weight=1.0), "maximize", self.seed)

    def nearest(self, mapping: LayerMapping) -> str:
        """The mapping of the table whose rows are nearest in layers; a row on instead of off is as far as can be."""
        weights = np.array(mapping.matrix(self.space.student_layers, self.space.teacher_layers))
        wanted = [int(row.argmax()) if row.any() else None for row in weights]

        def distance(name: str) -> float:
            return sum(
                float(self.table.n_teacher) if (t == OFF) != (w is None) else 0.0 if w is None else abs(int(t) - w)
                for t, w in zip(name, wanted, strict=True)
            )

        return min(self.table.maps, key=distance)

    def proposed(self, number: int, proposal: Proposal, column: int) -> Trial:
        """The mapping of the table that is nearest, tried on one draw; with the numbers that were proposed."""
        tried = self.trial(number, proposal.origin, self.nearest(proposal.recipe.mapping), column)
        return replace(tried, params=dict(proposal.params))

    def trial(self, number: int, origin: str, name: str, column: int, control: str = "") -> Trial:
        """A mapping of the table, tried on one draw."""
        recipe = Recipe(
            mapping_of(name, self.space).normalised(), projector="none", anneal=None, feature_share=0.5,
            output_weight=1.0,
        )  # fmt: skip
        value = float(self.table.short[self.table.row(name), column])
        return Trial(number, origin, recipe, control=control, state="complete", value=value)  # type: ignore[arg-type]


def controls(table: Table) -> list[str]:
    """The hand-made mappings that the table has, each once: evenly spaced, last, first, reverse, most similar."""
    S, T = len(table.maps[0]), table.n_teacher
    even = uniform(S, T)
    most_similar = table.maps[int(scores(table.maps, table.similarity["untrained"]["cka"]).argmax())]
    last, first = ("".join(map(str, range(start, start + S))) for start in (T - S, 0))
    return [name for name in dict.fromkeys((even, last, first, even[::-1], most_similar)) if name in table.maps]


def nominees(table: Table, proposer: str, at: Sequence[int], columns: Sequence[int], seed: int) -> list[str]:
    """The mapping that wins the race after so many proposals each.

    Args:
        columns: of the draws of the search, of the race's short runs, and of its full ones.
    """
    replay, (make, prior) = Replay(table, seed), PROPOSERS[proposer]
    propose, problem, search_column = make(), replay.problem(prior=prior), columns[0]
    names = controls(table)
    trials = [replay.trial(i, "control", name, search_column, "hand-made") for i, name in enumerate(names)]
    found = []
    for number in range(max(at)):
        proposal = propose(problem, trials, number)
        trials.append(replay.proposed(len(trials), proposal, search_column))
        names.append(replay.nearest(proposal.recipe.mapping))
        if number + 1 in at:
            found.append(raced(table, names, columns))
    return found


def raced(table: Table, names: Sequence[str], columns: Sequence[int]) -> str:
    """Who wins among the mappings tried: short runs on a second draw, then full ones on a third, as the product has it.

    Args:
        columns: of the draws of the search, of the race's short runs, and of its full ones.
    """
    rows = [table.row(name) for name in dict.fromkeys(names)]
    search, short, full = columns
    rows = sorted(rows, key=lambda m: -table.short[m, search])[: n_shortlisted(len(rows))]
    rows = sorted(rows, key=lambda m: -table.short[m, short])[: n_raced(len(rows), N_FINALISTS)]
    rows = sorted(rows, key=lambda m: -(table.short[m, short] + table.short[m, search]))[:N_FINALISTS]
    return table.maps[max(rows, key=lambda m: table.full[m, full])]


def gains(table: Table, proposer: str, at: Sequence[int], n_turns: int) -> Floats:
    """What nominees are worth beyond the mean mapping on draws that their searches have not seen, `[n_turns, len(at)]`.

    In each turn other draws are searched and raced on, with another seed.
    """
    found = []
    for turn in range(n_turns):
        columns, truth = _turn(table, turn)
        chosen = nominees(table, proposer, at, columns, turn)
        found.append([truth[table.row(name)] - truth.mean() for name in chosen])
    return np.array(found)


def ceiling(table: Table, n_turns: int) -> Floats:
    """The same for who knows every full run of the draws that a search may see, `[n_turns]`."""
    found = []
    for turn in range(n_turns):
        columns, truth = _turn(table, turn)
        found.append(truth[int(table.full[:, columns].mean(1).argmax())] - truth.mean())
    return np.array(found)


def _turn(table: Table, turn: int) -> tuple[list[int], Floats]:
    """The columns of search and race, and what mappings are worth on all others, `[M]`."""
    columns = [(turn + i) % table.full.shape[1] for i in range(3)]
    return columns, np.delete(table.full, columns, axis=1).mean(1)
