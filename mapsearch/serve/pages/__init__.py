"""The pages, for people: a file and a template for each; a new page has its row here.

A page is `router = APIRouter()` with functions that return `render(request, "NAME.html", ...)` (`templates.py`). It
asks the same functions of `api/` as the calls do. Who asks is `request.state.role`, `act` or `read`: where it is
`read`, buttons that act are left out. Styles and scripts lie in `static/`, served as `/static/FILE`; the content
policy allows no others, and none in the HTML itself.
"""

from mapsearch.serve.pages import actions, compare, launch, studies, study, trainings

PAGES = (studies.router, study.router, actions.router, compare.router, launch.router, trainings.router)
