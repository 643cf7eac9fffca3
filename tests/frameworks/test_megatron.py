"""Megatron's YAML, in the loss modules of ModelOpt's plugin, and in real Megatron networks with the taps beside it."""

import pytest
import torch
import torch.distributed as dist
from exported_recipes import named, replaced
from exports.conftest import MAPPINGS, TASKS

from mapsearch.core.errors import ExportError
from mapsearch.exports.frameworks.execute import executed
from mapsearch.exports.write import write
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, OUTPUT_LOSSES


class Wide(TASKS["llama"]):
    """A student as wide as its teacher, and a norm beside a whole layer."""

    def student(self):
        return self.llama(16, 2)


TASKS["wide"] = Wide
MAPPINGS["wide"] = [("model.layers.0", "model.layers.1", 1.0), ("model.layers.1", "model.layers.3", 3.0)]


@pytest.mark.parametrize(
    "recipe",
    [
        {"task": "llama", "loss": "mse"},
        {"task": "llama", "loss": "cosine", "feature_share": 1.0},
        {"task": "llama", "loss": "mse", "output_weight": 0.0, "task_weight": 0.5},
        {"task": "llama", "pairs": False, "temperature": 1.0},
        {"task": "wide", "loss": "cosine"},
        {"task": "wide", "loss": "mse", "projector": "none"},
    ],
    ids=named,
)
def test_the_losses_are_those_of_the_recipe_as_megatron_can_express_it(recipe, distilled, verified):
    assert verified("megatron", distilled(**recipe), lossy=True).differences == ()


@pytest.mark.parametrize("schema", ["bridge", "nemo2"])
def test_other_schemas_say_the_same(schema, distilled, verified):
    study = distilled("llama", loss="cosine", temperature=1.0)
    assert verified("megatron", study, lossy=True, schema=schema).differences == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("decoder.layers.3.tap2", "decoder.layers.2.tap2", "its taps must be those of export_megatron_taps.py"),
        ("tap2, mse", "tap2, cosine", "the loss of the recipe and of the file must be equal"),
        ("logit_kl_temperature: 3", "logit_kl_temperature: 2", "`kd_loss_scale` must be"),
        ("kd_loss_scale: ", "kd_loss_scale: 1", "`kd_loss_scale` must be"),
        ("skip_lm_loss: false", "skip_lm_loss: true", "`skip_lm_loss` must be False, but got True"),
        ("# loss of", "# the loss of", "the line `# loss of the study: ...` is missing; export it again"),
        ("0.7 * intermediate_loss", "0.8 * intermediate_loss", "`kd_loss_scale` must be"),
        ("logit_layers", "logits_layer", "unexpected keyword argument 'logits_layer'"),
    ],
)
def test_an_edited_file_is_caught(old, new, message, distilled, verified):
    with pytest.raises(ExportError, match=f"export_megatron.yaml: .*{message}"):
        verified("megatron", distilled("llama", loss="mse"), replaced(old, new), lossy=True)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("decoder.layers.9", "the study's teacher has no layer `decoder.layers.9`; did you mean `decoder.layers.3`"),
        ("decoder.layers.2", "the loss of the recipe and of the file must be equal"),
    ],
)
def test_a_renamed_layer_is_caught(new, message, distilled, verified):
    def edit(path):
        text = path.read_text()
        path.write_text(text.replace("decoder.layers.3", new))

    with pytest.raises(ExportError, match=message):
        verified("megatron", distilled("wide", loss="mse"), edit, lossy=True)


@pytest.fixture
def one_process(monkeypatch, tmp_path):
    """A process group of one on the CPU; Megatron asks for a GPU in two places that need none."""
    from contextlib import nullcontext
    from types import SimpleNamespace

    from megatron.core import parallel_state, tensor_parallel

    tracker = SimpleNamespace(fork=nullcontext, is_initialized=lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(tensor_parallel, "get_cuda_rng_tracker", lambda: tracker)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    parallel_state.initialize_model_parallel(1, 1)
    yield
    parallel_state.destroy_model_parallel()
    dist.destroy_process_group()


def gpt(width, depth):
    from megatron.core.models.gpt import GPTModel
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.transformer import TransformerConfig

    config = TransformerConfig(
        num_layers=depth, hidden_size=width, num_attention_heads=2, use_cpu_initialization=True,
        attention_dropout=0.0, hidden_dropout=0.0, perform_initialization=True,
    )  # fmt: skip
    model = GPTModel(config, get_gpt_layer_local_spec(), vocab_size=32, max_sequence_length=8)
    model.output_layer.weight.data.mul_(50)  # fresh logits are so small that their KL has few digits
    return model


@pytest.mark.parametrize(("task", "loss"), [("llama", "mse"), ("wide", "cosine")])
def test_megatron_networks_train_on_the_file(task, loss, distilled, one_process, tmp_path):
    import modelopt.torch.distill as mtd
    import modelopt.torch.distill.plugins.megatron as plugin

    source = distilled(task, loss=loss).source
    files, _ = write("megatron", source, tmp_path / "kd.yaml", lossy=True)
    student, teacher = gpt(16 if task == "wide" else 8, 2), gpt(16, 4)
    bare = student.state_dict().keys()
    if len(files) > 1:
        executed(files[1])["add_all_taps"](student, teacher)
    config = plugin.setup_distillation_config(str(files[0]), student.config, teacher.config)
    entries = [entry[:2] for entry in config.intermediate_layer_pairs]
    seen = [{}, {}]
    for side, (model, features) in enumerate(zip((student, teacher), seen, strict=True)):
        for entry in entries:
            model.get_submodule(entry[side]).register_forward_hook(
                lambda module, args, out, features=features, name=entry[side]: features.update({name: first(out)})
            )
    logits = {}
    for name, model in (("student", student), ("teacher", teacher)):
        model.output_layer.register_forward_hook(lambda module, args, out, name=name: logits.update({name: out[0]}))
    settings = {"teacher_model": teacher, "criterion": config.criterion, "loss_balancer": config.loss_balancer}
    model = mtd.convert(student, mode=[("kd_loss", settings)])
    plugin.adjust_distillation_model_for_mcore(model, config)
    model.train()
    ids, places = torch.randint(0, 32, (2, 8)), torch.arange(8).expand(2, 8)
    causal = torch.ones(1, 1, 8, 8, dtype=torch.bool).triu(1)
    lm_loss = model(ids, places, causal, labels=ids)
    losses = model.compute_kd_loss(student_loss=lm_loss.mean(), loss_reduction_fn=lambda value: value[0].mean())

    (projection,) = {loss._projection for loss in config.criterion.values()} - {None}
    ours = [
        FEATURE_LOSSES[loss](*(x.permute(1, 2, 0) for x in (projection(seen[0][s]), seen[1][t]))) for s, t in entries
    ]
    recipe = source.recipe
    kl = OUTPUT_LOSSES["kl"](*(logits[name].transpose(0, 1) for name in ("student", "teacher")), recipe.temperature)
    assert float(losses["intermediate_loss"]) == pytest.approx(float(torch.stack(ours).mean()), rel=1e-5)
    assert float(losses["logits_loss"]) == pytest.approx(float(kl) / recipe.temperature**2, rel=1e-5)
    assert float(losses["kd_loss"]) == pytest.approx(float(lm_loss.mean()) * (1 + config.kd_loss_scale), rel=1e-5)
    if task == "llama":
        before = projection._fit.weight.clone()
        losses["kd_loss"].backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        assert not torch.equal(projection._fit.weight, before)
    exported = mtd.export(model)
    gpt(16 if task == "wide" else 8, 2).load_state_dict(exported.state_dict())
    assert exported.state_dict().keys() == bare


def first(output):
    return output[0] if isinstance(output, tuple) else output
