"""STEP: nouns -> what people and machines read of them: JSON, CSV, tables, sentences, pictures.

Nothing here loads torch; scipy and matplotlib load when a similarity is shown or drawn.
"""

from mapsearch.report.comparison import comparison_lines, comparison_sentence, comparison_table
from mapsearch.report.pictures import demand_picture, plot_comparison, plot_similarity
from mapsearch.report.similarity import similarity_csv, similarity_lines, similarity_sentence
from mapsearch.report.study import (
    findings_table,
    layers_table,
    noise_sentence,
    overheads,
    studies_table,
    study_json,
    study_summary,
    trials_table,
    troubles,
    verdict_table,
)
from mapsearch.report.terminal import similarity_table

__all__ = [
    "comparison_lines",
    "comparison_sentence",
    "comparison_table",
    "demand_picture",
    "findings_table",
    "layers_table",
    "noise_sentence",
    "overheads",
    "plot_comparison",
    "plot_similarity",
    "similarity_csv",
    "similarity_lines",
    "similarity_sentence",
    "similarity_table",
    "studies_table",
    "study_json",
    "study_summary",
    "trials_table",
    "troubles",
    "verdict_table",
]
