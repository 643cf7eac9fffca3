"""STEP: nouns -> what people and machines read: JSON, CSV, tables, sentences, pictures.

Nothing here imports torch; scipy and matplotlib are imported when a similarity is shown or drawn.
"""

from mapsearch.report.comparison import comparison_lines, comparison_sentence, comparison_table
from mapsearch.report.pictures import plot_comparison, plot_similarity, require_picture_path
from mapsearch.report.similarity import similarity_csv, similarity_lines, similarity_sentence
from mapsearch.report.study import (
    SHOWN_TRIALS,
    findings_table,
    layers_table,
    noise_sentence,
    overheads,
    progress_sentence,
    studies_table,
    study_json,
    study_summary,
    trials_table,
    troubles,
    verdict_table,
)
from mapsearch.report.terminal import similarity_table

__all__ = [
    "SHOWN_TRIALS",
    "comparison_lines",
    "comparison_sentence",
    "comparison_table",
    "findings_table",
    "layers_table",
    "noise_sentence",
    "overheads",
    "plot_comparison",
    "plot_similarity",
    "progress_sentence",
    "require_picture_path",
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
