"""From the files of a run to the maps of self-distillation: which score belongs to which pair of temperatures."""

from collections.abc import Iterable

from thicket.config.report_files import ASKED_OTHERWISE, SSD
from thicket.reporting.inputs import PASS_AT_1, Inputs, interval_of
from thicket.reporting.methods import root_of
from thicket.reporting.ssd_map import SsdMap
from thicket.statistics.intervals import Interval

LEAST = 2
"""Columns of a map: with fewer there is nothing to compare."""


def ssd_maps(inputs: dict[str, Inputs], domains: Iterable[str]) -> tuple[SsdMap, ...]:
    """A map for each domain, base and truncation of the samples, where several temperatures of answers were measured.

    Of several seeds the first stands in the map.
    """
    maps = []
    for domain in domains:
        cuts: dict[tuple[str, str], dict[float, dict[float, Interval]]] = {}
        start: dict[str, dict[float, Interval]] = {}
        for one in inputs.values():
            if one.model.domain not in (None, domain) or one.metrics["answering"]["votes"] > 1:
                continue
            source = inputs[one.model.base] if one.model.type == ASKED_OTHERWISE and one.model.base else one
            base = root_of(one.model, inputs)
            at, score = one.metrics["answering"]["temperature"], interval_of(one.metrics["domains"][domain], PASS_AT_1)
            if source.model.type == SSD and source.model.domain == domain:
                method = source.provenance["config"]["method"]
                trained = cuts.setdefault((base, _cut(method["top_k"], method["top_p"])), {})
                trained.setdefault(method["temperature"], {}).setdefault(at, score)
            elif source.model.kind == "base" and one.metrics["answering"]["template"] in (None, "{prompt}"):
                start.setdefault(base, {}).setdefault(at, score)
        maps += [_map(domain, base, cut, start.get(base, {}), trained) for (base, cut), trained in cuts.items()]
    return tuple(found for found in maps if len(found.asked) >= LEAST)


def _cut(top_k: int, top_p: float) -> str:
    parts = [f"top-k {top_k}"] * (top_k > 0) + [f"top-p {top_p:g}"] * (top_p < 1)
    return ", ".join(parts) or "no truncation"


def _map(
    domain: str, base: str, cut: str, start: dict[float, Interval], trained: dict[float, dict[float, Interval]]
) -> SsdMap:
    asked = sorted({*start, *(at for row in trained.values() for at in row)})
    rows = {temperature: [row.get(at) for at in asked] for temperature, row in trained.items()}
    return SsdMap(domain, base, cut, asked, [start.get(at) for at in asked], rows)
