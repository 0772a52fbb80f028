"""Two states of a model side by side: numbers, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindmlm.training.evaluation import EvaluationResult

# What is measured on.
DOMAIN, GENERAL, TERMS = "domain text", "general text", "domain terms"
# A perplexity that differs by less is called the same.
_SAME = 0.005


@dataclass(frozen=True)
class Column:
    """One state of the model.

    Args:
        name: `before` or `after`.
        checkpoint: where its weights are, in words.
        step: of its run.
        results: by the name of what it was measured on.
    """

    name: str
    checkpoint: str
    step: int
    results: Mapping[str, EvaluationResult] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What a run has changed.

    Args:
        output_dir: of the run.
        columns: before and after.
        texts: name of what was measured on -> where it is.
        number_of_terms: that the vocabulary can write.
    """

    output_dir: str
    columns: tuple[Column, ...]
    texts: Mapping[str, str]
    number_of_terms: int = 0

    def values(self, name: str, measure: str) -> list[float]:
        """A measure before and after."""
        return [column.results[name].values[measure] for column in self.columns]

    def accuracy_name(self) -> str:
        """The measure that says how often the model is right."""
        measured = self.columns[0].results[DOMAIN].values
        return next(name for name in measured if name.endswith("accuracy"))

    def to_dict(self) -> dict[str, Any]:
        """JSON's types."""
        return {
            "output_dir": self.output_dir,
            "terms": self.number_of_terms,
            "texts": dict(self.texts),
            **{
                column.name: {
                    "checkpoint": column.checkpoint,
                    "step": column.step,
                    **{
                        name: {**result.values, "positions": result.positions}
                        for name, result in column.results.items()
                    },
                }
                for column in self.columns
            },
            "findings": self.findings(),
        }

    def findings(self) -> list[str]:
        """What the numbers say, in sentences."""
        lines = [self._learned()]
        if TERMS in self.texts:
            before, after = self.values(TERMS, self.accuracy_name())
            lines.append(f"Hidden terms of the domain: {before:.1%} right before, {after:.1%} now.")
        if GENERAL in self.texts:
            lines.append(self._forgotten())
        return lines

    def _learned(self) -> str:
        before, after = self.values(DOMAIN, "perplexity")
        change = after / before - 1.0
        if abs(change) < _SAME:
            return f"The domain is as well known as before (perplexity {shown(after)})."
        verb = "fell" if change < 0 else "rose"
        note = "" if change < 0 else ": the run has made the model worse on its own domain"
        return (
            f"Perplexity on the domain {verb} from {shown(before)} to {shown(after)} "
            f"({change:+.1%}){note}."
        )

    def _forgotten(self) -> str:
        before, after = self.values(GENERAL, "perplexity")
        change = after / before - 1.0
        numbers = f"perplexity {shown(before)} to {shown(after)}, {change:+.1%}"
        if change > _SAME:
            return f"General text was partly forgotten ({numbers})."
        if change < -_SAME:
            return f"General text was not forgotten, it is known better ({numbers})."
        return f"General text was not forgotten ({numbers})."

    def as_text(self) -> str:
        """A table for people, and the findings."""
        heads = [
            "",
            *(f"{column.name} (step {column.step:,})" for column in self.columns),
            "change",
        ]
        rows = [heads]
        for name in self.texts:
            rows.append([name, "", "", ""])
            rows += self.rows(name)
        width = max(len(row[0]) for row in rows) + 2
        lines = [row[0].ljust(width) + "".join(cell.rjust(22) for cell in row[1:]) for row in rows]
        return "\n".join([line.rstrip() for line in lines] + ["", *self.findings()])

    def rows(self, name: str) -> list[list[str]]:
        """Cells for people, a row a measure: its name, before, after, change."""
        return [self._row(name, measure) for measure in self.columns[0].results[name].values]

    def _row(self, name: str, measure: str) -> list[str]:
        before, after = self.values(name, measure)
        label = f"  {measure.replace('_', ' ')}"
        if measure.endswith("accuracy"):
            return [label, f"{before:.2%}", f"{after:.2%}", f"{100 * (after - before):+.2f} points"]
        change = f"{after / before - 1.0:+.1%}" if before else "-"
        return [label, shown(before), shown(after), change]


def shown(value: float) -> str:
    """A perplexity or a loss for people."""
    return f"{value:,.4g}" if value < 1e7 else f"{value:.3g}"
