import pytest
from pydantic import ValidationError

from mapsearch.core.execution import Execution


@pytest.mark.parametrize(
    ("given", "devices", "first"),
    [
        ("auto", "auto", "auto"),
        ("cpu", ("cpu",), "cpu"),
        ("cuda:1", ("cuda:1",), "cuda:1"),
        (["cuda:1", "cuda:0"], ("cuda:1", "cuda:0"), "cuda:1"),
    ],
)
def test_one_device_may_be_given_without_brackets(given, devices, first):
    execution = Execution(devices=given)
    assert (execution.devices, execution.first_device) == (devices, first)
    assert Execution.model_validate(execution.model_dump(mode="json")) == execution


@pytest.mark.parametrize("devices", [[], ["cpu", "auto "], "", 0, ["CUDA"], "cuda:", None])
def test_what_does_not_name_devices_is_refused(devices):
    with pytest.raises(ValidationError, match="`auto` or a device or a list of devices"):
        Execution(devices=devices)


@pytest.mark.parametrize("key", ["threads", "cohort", "workers", "stall_seconds"])
def test_quantities_are_positive(key):
    with pytest.raises(ValidationError, match=key):
        Execution(**{key: 0})
