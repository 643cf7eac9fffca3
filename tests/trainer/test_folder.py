"""What is written of a student can be read again, strictly, and nothing half-written is ever seen."""

import os

import pytest
import torch
from safetensors.torch import load_file
from small_tasks import Net
from torch import nn

from mapsearch.core.errors import TrainingFailed
from mapsearch.trainer import folder


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight


def test_the_bare_student_loads_strictly(tmp_path):
    student = Net(8, 2).to(memory_format=torch.contiguous_format)
    assert folder.write_student(tmp_path, student) == ("student.safetensors",)
    Net(8, 2).load_state_dict(load_file(tmp_path / "student.safetensors"), strict=True)
    again = folder.read_student(tmp_path, Net(8, 2))
    assert not again.training
    assert all(torch.equal(x, again.state_dict()[name]) for name, x in student.state_dict().items())
    assert_rights_of_any_file(tmp_path / "student.safetensors")


def assert_rights_of_any_file(path):
    assert os.stat(path).st_mode & 0o077 == 0o666 & ~_umask() & 0o077


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_weights_that_are_shared_come_back_shared(tmp_path):
    student = Tied()
    folder.write_student(tmp_path, student)
    again = folder.read_student(tmp_path, Tied())
    assert again.head.weight is again.embedding.weight
    assert torch.equal(again.head.weight, student.head.weight)


def test_images_in_channels_last_are_written_as_any_others(tmp_path):
    student = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    folder.write_student(tmp_path, student)
    nn.Conv2d(3, 4, 3).load_state_dict(load_file(tmp_path / "student.safetensors"), strict=True)


def test_projectors_lie_apart_and_only_where_there_are_some(tmp_path):
    assert folder.write_projectors(tmp_path, nn.ModuleList()) == ()
    assert folder.write_projectors(tmp_path, nn.Linear(2, 2)) == ("projectors.safetensors",)


@pytest.fixture
def bars():
    """`transformers.logging` while it draws bars, whatever other tests of this process have told it."""
    told = pytest.importorskip("transformers").logging
    before = told.is_progress_bar_enabled()
    told.enable_progress_bar()
    yield told
    (told.enable_progress_bar if before else told.disable_progress_bar)()


def test_a_model_of_hugging_face_is_written_as_it_writes_itself_but_for_bars(tmp_path, capfd, bars):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    student = transformers.BertForSequenceClassification(config).eval()
    (tmp_path / folder.UNFINISHED).mkdir()
    (tmp_path / folder.UNFINISHED / "half.bin").write_text("left by a process that was killed")
    assert {"config.json", "model.safetensors"} <= set(folder.write_student(tmp_path, student))
    read = folder.read_student(tmp_path, transformers.BertForSequenceClassification(config))
    assert capfd.readouterr().err == ""
    assert bars.is_progress_bar_enabled()
    batch = {"input_ids": torch.arange(6)[None]}
    for again in (transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path), read):
        weights = again.state_dict()
        assert all(torch.equal(weights[name], value) for name, value in student.state_dict().items())
        # where the weights lie in memory may decide the last bit of what comes out
        torch.testing.assert_close(again.eval()(**batch).logits, student(**batch).logits)
    assert_rights_of_any_file(tmp_path / "model.safetensors")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") or path.name == "half.bin"]


def test_a_folder_that_is_gone_or_holds_another_network_is_said(tmp_path):
    with pytest.raises(TrainingFailed, match=r"gone cannot be written to: .*the checkpoint is kept"):
        folder.write_student(tmp_path / "gone", Net(8, 2))
    with pytest.raises(TrainingFailed, match="cannot be read"):
        folder.read_student(tmp_path / "gone", Net(8, 2))
    folder.write_student(tmp_path, Net(8, 2))
    with pytest.raises(TrainingFailed, match="cannot be read"):
        folder.read_student(tmp_path, Net(8, 3))
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingFailed, match="cannot be written to"):
        folder.make_folder(tmp_path / "file" / "below")


@pytest.mark.parametrize("content", [None, "", "[1]", "{}", '{"training": 3}'])
def test_what_is_no_report_is_none(content, tmp_path):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    assert folder.read_report(tmp_path) is None
