"""The commands about what runs leave on disk: what can go, what must stay, and what is carried elsewhere."""

from __future__ import annotations

from jobs.cli.requests import CleanRequest, ExportRequest, ImportRequest, KeepRequest, PushRequest
from jobs.keeping.cleaning import clean
from jobs.keeping.keep import keep, project_folder
from jobs.keeping.push import push
from jobs.keeping.transfer import export_archive, import_archive
from jobs.recipe.context import profile_of
from jobs.recipe.names import Names


def clean_command(request: CleanRequest) -> int:
    """Show what is safe to delete, and delete it if the user agrees."""
    return clean(request.where.root(), request.names, request.yes)


def keep_command(request: KeepRequest) -> int:
    """Copy what is finished to storage that nothing purges."""
    folder = request.to or project_folder(profile_of(request.where))
    return keep(request.where.root(), request.names, folder)


def export_command(request: ExportRequest) -> int:
    """Put a run or a grid into one archive."""
    found = Names(request.where.root()).run_or_grid(request.name)
    export_archive(found, request.to, request.checkpoints)
    return 0


def push_command(request: PushRequest) -> int:
    """Show what of a run would be sent to the hub, and send it if the user says so."""
    run = Names(request.where.root()).run(request.name)
    return push(run, request.to, request.public, request.yes)


def import_command(request: ImportRequest) -> int:
    """Take runs out of an archive, once all of it has been checked."""
    import_archive(request.archive, request.where.root())
    return 0
