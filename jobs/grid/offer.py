"""What a grid would put into the queue, as an offer: a line for each array, and what was asked, default or estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cluster.profile.load import SlurmProfile
from cluster.profile.reasons import reasons
from cluster.quantities import human_time
from cluster.run.grid_folder import GridFolder
from jobs.cell.cell import Worklist
from jobs.grid.array_options import ArrayOptions
from jobs.grid.arrays import ITEM_S, SPARE, SlotArray
from jobs.recipe.meter import many
from jobs.recipe.offer import Offer, Part, cost_of, shape


def offer_of(
    folder: GridFolder,
    wanted: Worklist,
    arrays: Sequence[SlotArray],
    profile: SlurmProfile,
    options: ArrayOptions,
) -> Offer:
    """What would be submitted of a grid.

    Args:
        folder: of the grid.
        wanted: its cells, and what the job on each run is told.
        arrays: that bring the missing cells about.
        profile: of the cluster.
        options: of the user.
    """
    parts = [
        Part(what=f"array {number} {array.name}", told=_told(array), resources=array.resources)
        for number, array in enumerate(arrays, 1)
    ]
    cells = len({cell.name for array in arrays for cell in array.cells})
    title = f"{many(cells, 'cell')} of {folder.title} on {profile.title}"
    return Offer(title=title, parts=parts, reasons=_reasons(wanted, arrays, profile, options))


def _told(array: SlotArray) -> str:
    asked = array.resources
    after = f", after array {', '.join(str(place + 1) for place in array.after)}" if array.after else ""
    return (
        f"{many(len(array.cells), 'cell')}, {many(asked.units, 'slot')} of {shape(asked)}, "
        f"{human_time(asked.time_min)} each: {cost_of(asked)}{after}"
    )


def _reasons(
    wanted: Worklist, arrays: Sequence[SlotArray], profile: SlurmProfile, options: ArrayOptions
) -> dict[str, str]:
    trains = [array for array in arrays if array.cells[0].job == "train"]
    told: dict[str, str] = {}
    if trains:
        first, itself = trains[0], profile.continuation.requeue is True
        config = wanted.runs[first.cells[0].run]["config"]
        rounds = len({array.round for array in trains if array.cells == first.cells})
        each = replace(first.resources, units=1 if itself else rounds - 1)
        told = reasons(profile, each, config["gpus"], "each training")
        if not itself:
            told["spare"] = (
                f"behind each round of trainings one of 1/{SPARE} of its slots, for what a dead node leaves"
            )
    answers = {
        cell.name: cell.items for array in arrays if array.cells[0].job != "train" for cell in array.cells
    }
    if answers:
        slots = "asked" if options.slots else "default, an hour of work for each"
        told["--slots"] = (
            f"{slots}; answers are estimated: {many(sum(answers.values()), 'item')}, {ITEM_S:g} s of one GPU for each "
            "where none is measured yet"
        )
    return told
