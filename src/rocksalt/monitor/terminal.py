"""A run in the terminal: progress with time left, one line a decision with its reason, one line of what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from rocksalt.config.campaign import Campaign
from rocksalt.storage import records
from rocksalt.storage.history import History
from rocksalt.storage.journal import Entry
from rocksalt.values import Estimate, Measured

if TYPE_CHECKING:
    from rocksalt.daemon.run import Ended
    from rocksalt.monitor.closing import Closed


class Terminal:
    """Listens to the journal and prints, always to standard error. quiet: only alarms and the end."""

    def __init__(self, campaign: Campaign, *, speed: float, quiet: bool, folder: Path) -> None:
        self._campaign, self._speed, self._quiet, self._folder = campaign, speed, quiet, folder
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._history = History()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f} of at most {task.total:.0f}"),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=campaign.transition.measurements, left="")

    def __enter__(self) -> Terminal:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def listen(self, entry: Entry) -> None:
        """Take a journal entry, say what a person should read of it."""
        self._history.take(entry)
        shown = _SAYS.get(entry.kind)
        line = shown(entry) if shown is not None else None
        if line and (not self._quiet or entry.kind in ("alarm", "held")):
            self._console.print(f"[dim]{_clock(entry.t_s)}[/]  {line}")
        if entry.kind in ("intend", "done"):
            self._progress.update(
                self._task,
                completed=len(self._history.points),
                description=f"measurement {len(self._history.points) + 1}",
                left=self._left(),
            )

    def _left(self) -> str:
        """The most that is left: the measurements that may come, at the pace so far, within the budget of minutes."""
        done = len(self._history.points)
        if not done:
            return ""
        pace_s = self._history.now_s / done
        most_s = min(
            pace_s * (self._campaign.transition.measurements - done),
            60.0 * self._campaign.envelope.minutes - self._history.now_s,
        )
        return f"at most {_clock(max(most_s, 0.0) / self._speed)} left"

    def ended(self, ended: Ended, closed: Closed) -> None:
        """The last lines: how it ended, the pressure of the transition, where everything lies."""
        self._progress.stop()
        say = self._console.print
        say(f"\n[bold]{ended.status}[/]: {_escaped(ended.why)}")
        for found in closed.summary["transitions"]:
            say(
                f"[bold]{found['salt']} B1 to B2 at {found['pressure_gpa']:.3f} GPa[/] "
                f"(± {found['sigma_stat']:.3f} fit, ± {found['sigma_scale']:.3f} scale, {found['scale']})"
            )
        if not closed.summary["transitions"] and closed.summary["measurements"]:
            say(f"no transition was found in {closed.summary['measurements']} measurements")
        dose, sigma = closed.summary["dose_gy"], closed.summary["dose_sigma_gy"]
        say(f"dose {dose:.2e} ± {sigma:.0e} Gy (upper bound); {closed.summary['frames']['written']} frames on disk")
        say(f"run folder  {self._folder}")
        say(f"report      {closed.report}")


def _intend(entry: Entry) -> str:
    measurement = records.measurement(entry.data["measurement"])
    targets = ", ".join(_target(name, value) for name, value in measurement.setpoints.items())
    light = ", ".join(f"{exposure.count} x {exposure.seconds:g} s" for exposure in measurement.exposures)
    return f"[bold]#{measurement.number}[/] {targets or 'stay'}; {light}: {_escaped(entry.data['reason'])}"


def _target(setpoint: str, value: float) -> str:
    device, _, unit = setpoint.rpartition("_")
    return f"{device} {value:.2f} {unit}"


def _estimated(entry: Entry) -> str:
    estimate = records.estimate(entry.data["estimate"])
    return f"    {_seen(estimate)}"


def _seen(estimate: Estimate) -> str:
    parts = [f"[bold]{estimate.label}[/] ({100 * estimate.probabilities[estimate.label]:.0f} %)"]
    if estimate.pressure_gpa is not None:
        parts.append(f"{_brief(estimate.pressure_gpa)} GPa")
    if estimate.fraction_b2 is not None:
        parts.append(f"B2 {100 * estimate.fraction_b2.value:.0f} ± {100 * estimate.fraction_b2.sigma:.0f} %")
    if estimate.label == "unknown" and estimate.reasons:
        parts.append(_escaped(estimate.reasons[0]))
    return ", ".join(parts)


def _brief(measured: Measured) -> str:
    return f"{measured.value:.3f} ± {measured.sigma:.3f}"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:d}:{rest:02d}"


_SAYS: dict[str, Any] = {
    "intend": _intend,
    "estimated": _estimated,
    "connected": lambda entry: f"{entry.data['device']}: {_escaped(entry.data['identity'])}",
    "late": lambda entry: f"[yellow]{_escaped(entry.data['why'])}[/]",
    "alarm": lambda entry: f"[red]{_escaped(entry.data['what'])}[/]",
    "held": lambda entry: f"[yellow]held: {_escaped(entry.data['why'])}[/]",
    "released": lambda entry: f"released: {_escaped(entry.data['why'])}",
    "repeated": lambda entry: f"[yellow]once more: {_escaped(entry.data['why'])}[/]",
    "finish": lambda entry: f"[bold]done[/]: {_escaped(entry.data['reason'])}",
}
