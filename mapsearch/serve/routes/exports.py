"""Exports as downloads, and what each target would lose."""

import io
import zipfile
from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from mapsearch.api import exports
from mapsearch.exports.names import TargetName
from mapsearch.serve.routes.answer import Json
from mapsearch.serve.routes.parameters import ChosenTrial, Name

router = APIRouter(prefix="/studies/{name}/exports", tags=["exports"])


@router.get("", response_model=list[exports.ExportOffer])
def list_exports(request: Request, name: Name, trial: ChosenTrial = None) -> Json:
    """Every target: what it is, what it would lose of the trial, and why it is refused if it cannot express it."""
    offers = exports.export_offers(name, trial, request.app.state.settings.storage)
    return Json([asdict(offer) for offer in offers])


@router.get("/{target}", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}})
def download(
    request: Request,
    name: Name,
    target: TargetName,
    trial: ChosenTrial = None,
    lossy: bool = False,
) -> Response:
    """The file of a target; a zip archive where it needs several. Without `lossy`, one that would lose is refused."""
    storage = request.app.state.settings.storage
    texts = exports.exported_texts(name, target, trial, storage, lossy=lossy)
    first = next(iter(texts))
    if len(texts) == 1:
        return _attached(first, texts[first].encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in texts.items():
            archive.writestr(file, text)
    return _attached(f"{first.rpartition('.')[0]}.zip", packed.getvalue())


def _attached(file: str, content: bytes) -> Response:
    """Never shown in the browser: its name is made of the study's and the target's, which are plain."""
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)
