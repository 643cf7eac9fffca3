# What a type checker sees of `__init__.py`, which imports each name on first use. The package's test holds both alike.

from mapsearch.api.confirmation import confirm as confirm
from mapsearch.api.evaluation import evaluate as evaluate
from mapsearch.api.exports import export as export
from mapsearch.api.exports import verify_export as verify_export
from mapsearch.api.importances import importances as importances
from mapsearch.api.porting import port as port
from mapsearch.api.queries import show as show
from mapsearch.api.training import train as train
from mapsearch.client import Client as Client
from mapsearch.controller.run import run_study as run_study
from mapsearch.core.cluster import RayCluster as RayCluster
from mapsearch.core.errors import MapsearchError as MapsearchError
from mapsearch.core.mapping import LayerMapping as LayerMapping
from mapsearch.core.recipe import Recipe as Recipe
from mapsearch.core.similarity import Similarity as Similarity
from mapsearch.core.spec import StudySpec as StudySpec
from mapsearch.core.study_file import load_study as load_study
from mapsearch.core.verdict import Verdict as Verdict
from mapsearch.features.layers import list_layers as list_layers
from mapsearch.loggers.table import open_logger as open_logger
from mapsearch.losses.recipe_loss import RecipeLoss as RecipeLoss
from mapsearch.report.pictures import plot_similarity as plot_similarity
from mapsearch.similarity.comparison import compare_similarities as compare_similarities
from mapsearch.similarity.file import read_similarity as read_similarity
from mapsearch.similarity.measure import compare as compare
from mapsearch.tasks.task import Task as Task

__version__: str
