"""What a user should know of a cluster before a job is submitted or while it waits: outages, shares, quotas, room.

Each is one question to whoever knows, asked seldom (`cluster.slurm.answer_cache`); where nobody answers, nothing is
said.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.commands import ask
from cluster.profile.load import SlurmProfile, profile_names
from cluster.quantities import human_time
from cluster.quota import full_notes, parse_quotas
from cluster.slurm.answer_cache import AnswerCache
from cluster.slurm.shares import ask_shares, parse_shares, share_note

CALENDAR_S = 6 * 3600.0
"""Between two looks at a calendar."""
QUOTA_S = 10.0
"""How long the report of quotas may take."""


@dataclass(frozen=True, kw_only=True)
class Notices:
    """Where to ask, and for what.

    Attributes:
        root: the folder of all runs.
        profile: of the cluster; None is unknown, and only a calendar that is named can be looked at.
        write: answers are kept for others; a dry run leaves nothing behind.
    """

    root: Path
    profile: SlurmProfile | None
    write: bool = True

    @property
    def _cache(self) -> AnswerCache:
        return AnswerCache(root=self.root, write=self.write)

    def all(
        self,
        longest_min: int | None = None,
        account: str | None = None,
        outages: str | None = None,
        choice: bool = True,
    ) -> list[str]:
        """Everything there is to tell.

        Args:
            longest_min: time of one unit that is about to be submitted.
            account: that is to be charged.
            outages: URL or file of a calendar, instead of the profile's.
            choice: the user may have several accounts; with one there is nothing to compare.
        """
        place = outages or (self.profile.outages if self.profile else None)
        found = self._outages(place, longest_min) if place else []
        if self.profile:
            found += [note for note in (self._share(account) if choice else None,) if note]
            found += self._quotas()
        return found

    def _outages(self, place: str, longest_min: int | None) -> list[str]:
        from cluster.site.outages import (
            URLS,
            fetch,
            outage_notes,
            planned,
            read_calendar,
        )  # and all time zones

        now, age = time.time(), ""
        if place.startswith(URLS):
            kept = self._cache.ask("outages", lambda: read_calendar(place, fetch), place, CALENDAR_S)
            text = kept.text
            if text is not None and now - kept.time > CALENDAR_S:
                age = f" (as of {human_time((now - kept.time) / 60)} ago)"
        else:
            text = read_calendar(place, fetch)
        if text is None or "BEGIN:VCALENDAR" not in text.upper():
            return [
                f"planned outages are not known: {place} {'cannot be read' if text is None else 'is no calendar'}"
            ]
        name = self.profile.name if self.profile else ""
        return [
            note + age for note in outage_notes(planned(text, name, profile_names(), now), now, longest_min)
        ]

    def _share(self, account: str | None) -> str | None:
        text = self._cache.ask("shares", ask_shares).text
        gpu = self.profile is None or self.profile.hardware.kinds[0].gpu is not None
        return share_note(parse_shares(text, gpu), account) if text else None

    def _quotas(self) -> Sequence[str]:
        text = self._cache.ask("quotas", lambda: ask("diskusage_report", timeout_s=QUOTA_S)).text
        return full_notes(parse_quotas(text)) if text else []
