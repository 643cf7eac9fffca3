def test_runs_come_page_by_page_without_a_gap(service):
    everything = service.call("GET", "/studies/tiny/runs?limit=1000").json
    paged, after = [], ""
    while page := service.call("GET", f"/studies/tiny/runs?limit=7{after}").json:
        paged += page
        after = "&after={trial},{rung},{seed}".format(**page[-1])
    assert paged == everything
    trial = everything[0]["trial"]
    of_trial = service.call("GET", f"/studies/tiny/runs?trial={trial}").json
    assert of_trial == [run for run in everything if run["trial"] == trial]


def test_a_run_has_its_curve(service):
    run = service.call("GET", "/studies/tiny/runs").json[0]
    whole = service.call("GET", "/studies/tiny/runs/{trial}/{rung}/{seed}".format(**run)).json
    assert whole["result"]["curve"]
    assert service.call("GET", "/studies/tiny/runs/9999/0/0").status == 404


def test_trials_are_those_of_show(service):
    shown = service.call("GET", "/studies/tiny?limit=1000").json["trials"]
    assert service.call("GET", "/studies/tiny/trials?limit=1000").json == shown
    assert service.call("GET", "/studies/tiny/trials/0").json == shown[0]
    assert service.call("GET", f"/studies/tiny/trials/{len(shown)}").status == 404
