def test_a_report_is_a_file_and_a_line(do, finished, tmp_path):
    code, out, err = do("report", "tiny", "-o", "tiny.html", "--storage", finished[1])
    assert (code, err) == (0, "")
    assert "tiny.html" in out
    assert (tmp_path / "tiny.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_mistakes_are_one_line(refused, finished):
    assert "no study `tinny`" in refused("report", "tinny", "-o", "a.html", "--storage", finished[1])[0]
    assert ".html" in refused("report", "tiny", "-o", "a.pdf", "--storage", finished[1])[0]
    assert "'-o'" in refused("report", "tiny")[0]
