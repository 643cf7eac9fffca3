def test_two_studies_are_chosen_and_compared(page):
    assert "<option>tiny</option>" in page("/compare")[1]
    status, text = page("/compare?one=tiny&other=tiny")
    assert status == 200
    assert "Both come to the same decision" in text
    assert page("/compare?one=tiny&other=tinny")[0] == 404
