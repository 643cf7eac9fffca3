"""Who and what comes through to the pages and calls, asked of a real process."""

import pytest

PAGE, CALL = "/", "/api/v1/studies"


def test_without_a_token_nothing_is_shown(service):
    for path in (PAGE, CALL, "/api/v1/openapi.json", "/api/v1/no-such-call", "/no-such-page"):
        assert service.ask("GET", path).status == 401
    assert b"tiny" not in service.ask("GET", PAGE).body


@pytest.mark.parametrize("token", ["", "x", "ä" * 43, "x" * 100_000])
def test_a_wrong_token_is_refused(service, token):
    given = token.encode().decode("latin-1")[:60_000]
    assert service.ask("GET", CALL, Authorization=f"Bearer {given}").status == 401
    assert service.ask("GET", PAGE, Cookie=f"mapsearch_{service.port}={given}").status == 401


def test_a_wrong_token_in_the_address_gives_no_session(service):
    answer = service.ask("GET", "/?token=" + "x" * 43)
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


def test_the_link_gives_a_session_that_no_script_reads_and_leads_on_without_the_token(service):
    answer = service.ask("GET", f"/?a=1&token={service.act}")
    assert (answer.status, answer.headers["location"]) == (303, "/?a=1")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert service.act not in cookie
    assert b"tiny" in service.ask("GET", PAGE, Cookie=cookie.partition(";")[0]).body


def test_a_link_clicked_on_another_site_signs_in_by_a_page_of_ours(service):
    answer = service.ask("GET", f"/?token={service.read}", Sec_Fetch_Site="cross-site")
    assert (answer.status, answer.headers["refresh"]) == (200, "0; url=/")


def test_a_link_cannot_lead_to_another_site(service):
    answer = service.ask("GET", f"//evil.example/x?token={service.act}")
    assert answer.headers["location"] == "/evil.example/x"


def test_the_token_of_one_service_is_none_of_another(service, start):
    other = start()
    assert other.ask("GET", CALL, Authorization=f"Bearer {service.act}").status == 401
    assert other.ask("GET", PAGE, Cookie=service.session(service.act)).status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "a b", "[::1", "@"])
def test_a_page_of_another_site_cannot_make_its_own_name_mean_this_machine(service, host):
    answer = service.ask("GET", CALL, Host=host, Authorization=f"Bearer {service.act}")
    assert answer.status in (400, 421)
    assert b"tiny" not in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_the_service_knows_its_own_names(service, host):
    answer = service.ask("GET", CALL, Host=f"{host}:{service.port}", Authorization=f"Bearer {service.act}")
    assert answer.status == 200


OWN = "http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": OWN},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://evil.example"},
    ],
)
def test_another_site_cannot_act_with_the_browsers_session(service, headers):
    sent = {name: text.format(port=service.port) for name, text in headers.items()}
    answer = service.ask("POST", CALL, b"{}", Cookie=service.session(service.act), **sent)
    assert (answer.status, answer.json["error"]) == (403, "cross_site")


@pytest.mark.parametrize("headers", [{"Origin": OWN}, {"Sec_Fetch_Site": "same-origin"}])
def test_a_page_of_the_service_may_act(service, headers):
    sent = {name: text.format(port=service.port) for name, text in headers.items()}
    answer = service.ask("POST", "/api/v1/no-such-call", b"{}", Cookie=service.session(service.act), **sent)
    assert answer.status == 404


def test_the_token_that_reads_does_not_act(service):
    for method in ("POST", "PATCH", "DELETE", "PUT", "PROPFIND"):
        answer = service.ask(method, CALL, Authorization=f"Bearer {service.read}")
        assert (answer.status, answer.json["error"]) == (403, "read_only")


def test_a_read_only_service_has_no_token_that_acts(start):
    service = start("--read-only")
    assert service.act == service.read
    assert service.ask("POST", CALL, Authorization=f"Bearer {service.act}").status == 403
    assert service.ask("GET", CALL, Authorization=f"Bearer {service.act}").status == 200


def test_a_body_is_bounded(service):
    for headers in ({"Content_Length": str(2**40)}, {"Transfer_Encoding": "chunked"}):
        answer = service.ask("POST", CALL, Authorization=f"Bearer {service.act}", **headers)
        assert answer.status in (411, 413)


def test_every_answer_keeps_the_browser_from_what_is_not_ours(service):
    for path in (PAGE, CALL, "/static/app.css", "/no-such-page"):
        headers = service.ask("GET", path, Cookie=service.session(service.read)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert (headers["cache-control"] == "no-store") if "static" not in path else True


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fapp.py", "/static//etc/passwd"]
)
def test_no_file_beside_the_static_ones_is_served(service, path):
    assert service.ask("GET", path).status in (401, 404)
