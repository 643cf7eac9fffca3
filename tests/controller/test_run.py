"""The loop with real worker processes: exact counts, the same values after any end, one clear line for any failure."""

import os
import shutil
import signal
import threading

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import create_engine, text

from mapsearch.controller.run import run, run_study
from mapsearch.core.errors import StudyBusy, StudyChanged, StudyFailed, TaskError
from mapsearch.core.events import Message, Progress, Standing
from mapsearch.core.study_file import load_study
from mapsearch.core.trials import PROPOSALS, Trial
from mapsearch.store.store import Store

QUICK = {"confirm": {"seeds": 2}}  # where the verdict does not matter


def test_a_study_has_every_trial_and_run_once(finished, results):
    trials, runs = results(finished[1])
    assert [t.number for t in trials] == list(range(len(trials)))
    assert all(t.state == "complete" for t in trials if t.proposer != "matched")
    n = {p: sum(t.proposer == p for t in trials) for p in ("tune", "control", *PROPOSALS, "matched")}
    assert (n["tune"], sum(n[p] for p in PROPOSALS)) == (3, 4)
    controls = {t.control for t in trials if t.proposer == "control"}
    assert controls >= {
        "none",
        "outputs",
        "uniform",
        "last",
        "first",
        "reverse",
        "random",
        "all",
        "article",
    }
    assert {(r.state, r.attempt) for r in runs} == {("complete", 1)}
    counts = {stage: sum(r.stage == stage for r in runs) for stage in ("tune", "search", "noise")}
    noisy = {t.control for t in trials} & {"uniform", "last", "first", "reverse", "random"}
    assert counts["tune"] == 2 * 3
    assert counts["search"] == n["control"] + 4
    assert counts["noise"] == len(noisy)
    confirmed = [r for r in runs if r.stage == "confirm"]
    verdict = finished_verdict(finished[1])
    questioned = {q.trial: q.n_seeds for q in verdict.questions if q.asked}
    n_seeds = max(questioned.values())
    for number in {r.trial for r in confirmed}:
        n = sum(r.trial == number for r in confirmed)
        asked = n_seeds if number == verdict.nominee else questioned.get(number, 2)
        assert n == asked, number
    assert {r.split for r in confirmed} == {"test"}
    assert not {r.seed for r in confirmed} & {r.seed for r in runs if r.stage != "confirm"}


def finished_verdict(url):
    with Store.open(url) as store:
        return store.study("tiny").facts.verdict


def test_the_same_command_again_does_nothing_and_says_the_same(copied, results):
    study, url = copied
    before = results(url)
    with Store.open(url) as store:
        said = store.study("tiny").facts.verdict
    assert run_study(load_study(study), url) == said
    assert results(url) == before


def test_optuna_has_what_we_stored(finished, results):
    trials, _ = results(finished[1])
    study = optuna.load_study(study_name="tiny", storage=finished[1])
    told = {t.user_attrs["trial"]: t for t in study.trials}
    sampled = [t for t in trials if t.sampler_number is not None]
    assert len(sampled) >= 4 + 5  # the proposals and the controls that lie in the space
    for trial in sampled:
        assert told[trial.number].value == trial.value
        assert told[trial.number].params["recipe.feature_share"] == trial.recipe.feature_share
        assert told[trial.number].state == TrialState.COMPLETE


def test_inline_gives_the_same_values_as_workers_and_so_does_another_study(finished, results, spec, url):
    run_study(spec(), url, inline=True)
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)


def test_other_settings_under_an_old_name_are_refused_and_named(copied, results):
    study, url = copied
    before = results(url)
    changed = load_study(study)
    changed = changed.model_copy(update={"train": changed.train.model_copy(update={"lr": 0.5}), "seed": 3})
    with pytest.raises(StudyChanged, match=r"`tiny` .*: `seed`: 0 -> 3, `train\.lr`: 0\.02 -> 0\.5"):
        run_study(changed, url)
    assert results(url) == before


def test_a_moved_study_goes_on_from_its_new_place(finished, results, spec, url, tmp_path):
    update = run(spec(), url, inline=True)
    next(item for item in update if isinstance(item, Trial) and item.proposer in PROPOSALS)
    update.close()
    with Store.open(url) as store:
        assert store.study("tiny").state == "stopped"
    shutil.move(tmp_path / "study", tmp_path / "moved")
    run_study(load_study(tmp_path / "moved" / "study.yaml"), url)
    with Store.open(url) as store:
        study = store.study("tiny")
    assert (study.state, study.folder) == ("complete", str(tmp_path / "moved"))
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)


def test_what_is_said_on_the_way(spec, url):
    stages = [item.stage for item in run(spec(**QUICK), url, inline=True) if isinstance(item, Message)]
    order = ["load", "check", "compare", "tune", "noise", "search", "shortlist", "confirm"]
    assert list(dict.fromkeys(stages)) == order


def test_how_far_a_study_is_counts_every_run_and_goes_on_when_resumed(spec, url, results):
    updates = run(spec(**QUICK), url, inline=True)
    for item in updates:
        if isinstance(item, Standing) and item.n_done == 10:
            break
    updates.close()
    told = [item for item in run(spec(**QUICK), url, inline=True) if isinstance(item, Standing)]
    assert [x.n_done for x in told] == list(range(11, len(results(url)[1]) + 1))
    assert all(x.spent <= x.planned and x.n_done <= x.n_runs for x in told)
    assert told[-1].best.value >= told[-1].outputs.value or told[-1].best.recipe.mapping.pairs


def test_a_flat_study_may_skip_the_search(spec, url, results):
    said = [str(item) for item in run(spec(search={"when_flat": "stop"}, **QUICK), url, inline=True)]
    assert any("skipped: `search.when_flat: stop`" in line for line in said)
    assert not any(t.proposer in PROPOSALS for t in results(url)[0])


def test_a_study_in_which_nothing_learns_fails_before_the_search_is_paid_for(spec, url, results):
    with pytest.raises(StudyFailed, match=r"stage tune: nothing learned .* `accuracy` of 0\.33.*`train\.lr`"):
        run_study(spec(task="task.py:Chance", **QUICK), url, inline=True)
    assert {r.stage for r in results(url)[1]} == {"tune"}
    with Store.open(url) as store:
        assert store.study("tiny").state == "failed"


def test_a_loss_is_minimized(spec, url, results):
    run_study(spec(metric="loss", direction="minimize", **QUICK), url, inline=True)
    trials, runs = results(url)
    rounds = [r for r in runs if r.stage == "shortlist" and trials[r.trial].recipe.mapping.pairs]
    assert {r.rung for r in rounds} == {1}, "one finalist has nobody to race against at the full schedule"
    shortlisted = {r.trial for r in rounds}
    mapped = sorted(t.value for t in trials if t.recipe.mapping.pairs and t.proposer != "matched")
    leaders = mapped[: (len(shortlisted) + 1) // 2]
    assert sorted(t.value for t in trials if t.number in shortlisted)[: len(leaders)] == leaders
    assert "uniform" in {trials[number].control for number in shortlisted}
    means = {n: [r.value for r in rounds if r.trial == n] for n in {r.trial for r in rounds if r.seed == 501}}
    assert finished_verdict(url).nominee == min(means, key=lambda n: sum(means[n]))
    assert optuna.load_study(study_name="tiny", storage=url).direction.name == "MINIMIZE"


def test_a_killed_worker_is_replaced(finished, results, spec, url, workers):
    killed, notes = False, []
    for item in run(spec(), url):
        if isinstance(item, Progress) and not killed and item.key[0] > 10:
            killed = True
            os.kill(workers(url).pop(), signal.SIGKILL)
        notes += [item] if isinstance(item, Message) else []
    assert any(note.stage == "lost" and "the worker process died (exit code -9)" in note.text for note in notes)
    assert {r.attempt for r in results(url)[1]} == {1, 2}
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)


def test_when_every_run_crashes_the_study_fails_with_the_users_error_and_goes_on_when_put_right(spec, url, results):
    study = spec(task="task.py:Crashing", train={"steps": 40}, **QUICK)
    message = r"stage tune: .* 6 crashed: RuntimeError: the tape is full \(task\.py:"
    with pytest.raises(StudyFailed, match=message):
        run_study(study, url, inline=True)
    with Store.open(url) as store:
        assert store.study("tiny").state == "failed"
    file = study.folder / "task.py"
    file.write_text(file.read_text().replace("patience=8)", "patience=1000)"))
    run_study(study, url, inline=True)
    assert {r.state for r in results(url)[1]} == {"complete"}


def test_when_every_run_diverges_the_study_fails_and_its_runs_are_tried_again(spec, url, results):
    study = spec(task="task.py:Exploding", train={"steps": 40}, **QUICK)
    with pytest.raises(StudyFailed, match=r"stage tune: .* 6 diverged: .*term `task`"):
        run_study(study, url, inline=True)
    with Store.open(url) as store:
        assert store.study("tiny").state == "failed"
    assert {r.state for r in results(url)[1]} == {"diverged"}
    file = study.folder / "task.py"
    file.write_text(file.read_text().replace("patience=8, loud", "patience=1000, loud"))
    run_study(study, url, inline=True)
    trials, runs = results(url)
    assert {r.state for r in runs} == {"complete"}
    assert {r.attempt for r in runs if r.stage == "tune"} == {2}
    assert {t.state for t in trials} == {"complete"}


def test_a_study_whose_check_fails_says_why_and_may_be_run_again_with_another_file(spec, url):
    with pytest.raises(TaskError, match="Missing"):
        run_study(spec(task="task.py:Missing"), url, inline=True)
    with Store.open(url) as store:
        failed = store.study("tiny")
        assert (failed.state, failed.n_trials, failed.facts.is_checked) == ("failed", 0, False)
        assert any(event.kind == "failed" and "Missing" in event.message for event in store.events("tiny"))
    updates = run(spec(search={"trials": 5}), url, inline=True)
    next(item for item in updates if isinstance(item, Trial))
    updates.close()
    with Store.open(url) as store:
        study = store.study("tiny")
    assert (study.state, study.spec["task"], study.spec["search"]["trials"]) == ("stopped", "task.py:Clusters", 5)


def test_a_study_is_checking_and_then_running(spec, url):
    seen = {}
    updates = run(spec(), url, inline=True)
    with Store.open(url) as store:
        for item in updates:
            stage = item.stage if isinstance(item, Message) and item.stage != "tune" else "train"
            seen.setdefault(stage, store.study("tiny").state)
            if stage == "train":
                break
    updates.close()
    assert seen == {"load": "checking", "check": "checking", "compare": "checking", "train": "running"}


def test_a_study_that_is_asked_to_stop_stops_softly_and_goes_on_when_run_again(spec, url):
    with Store.open(url) as store:
        updates = run(spec(**QUICK), url, inline=True)
        next(item for item in updates if isinstance(item, Trial))
        store.request_stop("tiny")
        with pytest.raises(KeyboardInterrupt):
            list(updates)
        stopped = store.study("tiny")
        assert stopped.state == "stopped"
        assert stopped.n_complete > 0
        updates = run(spec(**QUICK), url, inline=True)
        next(item for item in updates if isinstance(item, Trial) and item.proposer == "control")
        updates.close()


SLOW_TEACHER = """

class Waiting(Clusters):
    def teacher(self):
        import pathlib, time
        while not pathlib.Path(__file__).with_name("go").exists():
            time.sleep(0.01)
        return super().teacher()
"""


def test_a_second_run_is_refused_while_the_teacher_of_the_first_trains_for_many_leases(spec, url, eventually):
    study = spec(task="task.py:Waiting", **QUICK)
    with (study.folder / "task.py").open("a") as task:
        task.write(SLOW_TEACHER)
    updates = run(study, url, inline=True, lease_seconds=0.2)
    next(updates)  # the row and the lease exist before the task is loaded
    loading = threading.Thread(target=next, args=(updates,))
    loading.start()
    end = lease_end(url)
    eventually(lambda: lease_end(url) > end + 1.0)  # by now five leases have passed
    with pytest.raises(StudyBusy, match="`tiny` is run by process"):
        run_study(study, url, inline=True)
    (study.folder / "go").touch()
    loading.join()
    updates.close()


def lease_end(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        end = connection.execute(text("SELECT lease_until FROM mapsearch_studies")).scalar_one()
    engine.dispose()
    return end


def test_a_recipe_that_diverges_is_infeasible_and_the_study_goes_on(spec, url, results):
    spec = spec(task="task.py:Diverging", search={"trials": 8}, **QUICK)
    verdict = run_study(spec, url, inline=True)
    trials, runs = results(url)
    bad = {t.number for t in trials if t.state == "infeasible" and t.proposer in (*PROPOSALS, "control")}
    assert bad
    assert not bad & {verdict.nominee, verdict.recommended}
    assert {r.trial for r in runs if r.stage == "confirm" and r.state == "complete"} - bad, "others are confirmed"
    assert {r.state for r in runs} == {"complete", "diverged"}
    assert all(r.result.error.startswith("term `") for r in runs if r.state == "diverged")
    study = optuna.load_study(study_name="tiny", storage=url)
    told = {t.user_attrs["trial"]: t.constraints for t in study.trials if t.state == TrialState.COMPLETE}
    proposals = [t for t in trials if t.proposer in PROPOSALS and t.sampler_number is not None]
    assert {t.number: told[t.number].get("infeasible", 0.0) for t in proposals} == {
        t.number: float(t.state == "infeasible") for t in proposals
    }
    assert all(t.state != TrialState.RUNNING for t in study.trials)
