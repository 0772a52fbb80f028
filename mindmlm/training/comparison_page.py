"""A comparison as one HTML file that needs nothing beside it: tables, findings, pictures."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from mindmlm.training.comparison import Comparison, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BEFORE, _AFTER, _GREY = "#9AA5B1", "#4C78A8", "#555555"

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; color: #222; }}
body {{ max-width: 60em; margin: 2em auto; padding: 0 1em; }}
h1 {{ font-size: 1.5em; }} h2 {{ font-size: 1.15em; margin-top: 2em; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .35em .8em; border-bottom: 1px solid #ddd; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
tr.head td {{ font-weight: bold; border-bottom: 2px solid #888; padding-top: 1em; }}
img {{ max-width: 100%; }} code {{ overflow-wrap: anywhere; }} li {{ margin: .3em 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
<ul>{findings}</ul>
<img alt="perplexity and accuracy before and after" src="data:image/png;base64,{picture}">
<h2>All numbers</h2>
<table>{rows}</table>
<h2>What was compared</h2>
<ul>{sources}</ul>
<p>{masks}</p>
</body>
</html>
"""
_MASKS = (
    "Both models see the same rows with the same hidden tokens: 15 % of each row, chosen by a "
    "seed that no setting changes. Terms are hidden whole, one after the other, up to 15 % of a "
    "row. Perplexity is exp(mean loss) of the hidden tokens: lower is better."
)
_NEXT_TOKENS = (
    "Both models see the same rows and predict every token from those before it. Perplexity is "
    "exp(mean loss) of the tokens: lower is better."
)


def comparison_page(comparison: Comparison) -> str:
    """Return the page."""
    masked = comparison.accuracy_name().startswith("masked")
    return _PAGE.format(
        title=f"Before and after: {escape(comparison.output_dir)}",
        findings="".join(f"<li>{escape(line)}</li>" for line in comparison.findings()),
        picture=base64.b64encode(draw_comparison(comparison)).decode(),
        rows=_table(comparison),
        sources=_sources(comparison),
        masks=_MASKS if masked else _NEXT_TOKENS,
    )


def _table(comparison: Comparison) -> str:
    heads = ["", *(f"{column.name}, step {column.step:,}" for column in comparison.columns)]
    rows = [_cells([*heads, "change"], "th")]
    for name in comparison.texts:
        positions = comparison.columns[0].results[name].positions
        rows.append(f'<tr class="head"><td colspan="4">{name} ({positions:,} tokens)</td></tr>')
        rows += [_cells(row, "td") for row in comparison.rows(name)]
    return "".join(rows)


def _cells(texts: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in texts)}</tr>"


def _sources(comparison: Comparison) -> str:
    lines = [(column.name, column.checkpoint) for column in comparison.columns]
    lines += list(comparison.texts.items())
    return "".join(f"<li>{name}: <code>{escape(text)}</code></li>" for name, text in lines)


def draw_comparison(comparison: Comparison) -> bytes:
    """Return a PNG: perplexity and accuracy on each text, before and after."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(9.0, 3.8), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    accuracy = comparison.accuracy_name()
    _bars(left, comparison, "perplexity", "perplexity (lower is better)")
    _bars(right, comparison, accuracy, f"{accuracy.replace('_', ' ')} (higher is better)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    png = BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


def _bars(axes: "Axes", comparison: Comparison, measure: str, title: str) -> None:
    names = [
        name for name in comparison.texts if measure in comparison.columns[0].results[name].values
    ]
    share = measure.endswith("accuracy")
    for number, (column, colour) in enumerate(
        zip(comparison.columns, (_BEFORE, _AFTER), strict=True)
    ):
        values = [column.results[name].values[measure] for name in names]
        places = [place + 0.4 * (number - 0.5) for place in range(len(names))]
        bars = axes.bar(places, values, 0.36, color=colour, label=column.name)
        labels = [f"{value:.1%}" if share else shown(value) for value in values]
        axes.bar_label(bars, labels, fontsize=8, color=_GREY)
    axes.set_xticks(range(len(names)), names)
    values = [value for name in names for value in comparison.values(name, measure)]
    if not share and min(values) > 0 and max(values) > 30 * min(values):
        axes.set_yscale("log")
    if share:
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_GREY)
