"""The chain told as a story, for both makes: from sign-up to automatic re-lock, with what each side says."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table

from bench.bench import Bench
from bench.report.terminal import format_duration, make_console
from scenarios.stage import Outcome, OutcomeKind, VehicleChange
from wire.clock import stopwatch

CODING = bytes.fromhex("01 02 03 04 05 06 07 08")
OTHER_CODING = bytes.fromhex("01 02 03 04 05 06 07 09")
MINUTE_NS = 60_000_000_000
MARK = {
    OutcomeKind.POSITIVE: "[green]ok[/]     ",
    OutcomeKind.NEGATIVE: "[red]refused[/]",
    OutcomeKind.PORTAL_ERROR: "[red]refused[/]",
    OutcomeKind.SILENCE: "[yellow]silence[/]",
    OutcomeKind.FAILED: "[red]failed[/] ",
}
CLOCK_WIDTH = 12


class Story:
    """Tells one vehicle's story. `went_wrong` counts what did not end as the story has it."""

    def __init__(self, console: Console, vehicle: str, seed: int) -> None:
        self.bench = Bench(seed=seed, vehicle=vehicle, check_on_close=False)
        self.stage = self.bench.stage
        self.went_wrong = 0
        self._console = console

    def tell(self, text: str, act: Callable[[], Outcome], *, refused: bool = False) -> Outcome:
        """Do one thing and say how it ended."""
        outcome = act()
        as_told = (outcome.kind is OutcomeKind.POSITIVE) is not refused
        self.went_wrong += not as_told
        clock = format_duration(self.bench.world.now_ns)
        line = Table.grid(padding=(0, 2))  # so that what does not fit goes on below its own column
        line.add_column(width=CLOCK_WIDTH, justify="right", style="dim")
        line.add_column()
        line.add_column(overflow="fold")
        line.add_row(clock, MARK[outcome.kind], f"{escape(text)}  [dim]{escape(outcome.text)}[/]")
        self._console.print(line, highlight=False)
        return outcome

    def title(self, text: str) -> None:
        """Begin a chapter."""
        self._console.print(f"\n[bold]{escape(text)}[/]")


def tell(seed: int) -> int:
    """Tell both stories; return how many things went otherwise than told (0 unless the bench is broken)."""
    console = make_console()
    watch = stopwatch()
    console.print(
        Panel(
            "A technician wants to code an instrument cluster. The car's security gateway wants to know who it is.\n"
            "Everything below happens on a virtual CAN bus, in virtual time, with keys that this bench made for itself.",
            title="sgw-bench",
            border_style="blue",
        )
    )
    wrong = 0
    bench_ns = 0
    for vehicle, story_of in (("vag-golf", _volkswagen), ("mb-eclass", _mercedes)):
        story = Story(console, vehicle, seed)
        car = story.bench.car.spec
        console.print()
        console.print(Rule(f"{car.title}, {car.vin}"))
        _sign_up(story)
        story_of(story)
        violations = story.bench.violations()
        wrong += story.went_wrong + len(violations)
        bench_ns += story.bench.world.now_ns
        witness = "saw nothing wrong" if not violations else f"objects: {violations[0]}"
        watched = story.bench.findings().requests_seen
        digest = story.bench.trace.digest()[:16]
        told = f"The witness read {watched:,} requests and {witness}. Trace digest {digest}, seed {seed}."
        console.print(f"\n{told}", soft_wrap=True)
    console.print(f"\n{format_duration(bench_ns)} of bench time in {watch():.1f} s.")
    console.print("Next: [bold]sgw-bench list[/], [bold]sgw-bench run[/], and docs/guide.md.")
    return wrong


def _sign_up(story: Story) -> None:
    stage = story.stage
    story.title("At the portal")
    story.tell("signs up and confirms the e-mail address", lambda: stage.sign_up("technician"))
    story.tell("fills in the personal profile", lambda: stage.personal_profile("technician"))
    story.tell(
        "photographs the passport, turns the face from side to side",
        lambda: stage.identity_check("technician", front=None, back=None, video=None),
    )
    story.tell("waits for the result", lambda: stage.wait_for_review("technician"))
    story.tell("fills in the company profile", lambda: stage.company_profile("technician"))
    story.tell("has the company validated", lambda: stage.validate_company("technician"))
    story.title("At the car, not logged in")
    story.tell("identifies the car", stage.identify)
    story.tell("scans all control units", stage.scan)


def _login(story: Story) -> None:
    story.title("Logging in on the tester")
    story.tell(
        "enrols the authenticator and logs in with its code",
        lambda: story.stage.login("technician", code=None, password=None),
    )


def _volkswagen(story: Story) -> None:
    stage = story.stage
    story.tell(
        "codes the cluster (the gateway's filter is armed)", lambda: stage.write_coding("cluster", CODING), refused=True
    )
    story.tell("opens the bonnet: proof of access, the filter disarms", lambda: _bonnet(story))
    story.tell(
        "codes the cluster (its own lock, SFD, is closed)", lambda: stage.write_coding("cluster", CODING), refused=True
    )
    _login(story)
    story.title("Unlock, work")
    story.tell(
        "unlocks the cluster: request structure, new code, token",
        lambda: stage.unlock("cluster", role="after-sales", scope=None),
    )
    _work(story, "cluster")


def _bonnet(story: Story) -> Outcome:
    return story.stage.change_vehicle(VehicleChange(bonnet_open=True))


def _mercedes(story: Story) -> None:
    stage = story.stage
    story.tell("codes the cluster (the gateway is locked)", lambda: stage.write_coding("cluster", CODING), refused=True)
    _login(story)
    story.title("Unlock, work")
    story.tell(
        "authenticates at the gateway: certificate, challenge, proof",
        lambda: stage.unlock("gateway", role="after-sales", scope=None),
    )
    _work(story, "gateway")


def _work(story: Story, holder: str) -> None:
    stage = story.stage
    story.tell("opens SecurityAccess, seed and key", lambda: stage.security_access("cluster", 3, key=None))
    story.tell("codes the cluster", lambda: stage.write_coding("cluster", CODING))
    story.tell("reads the coding back", lambda: stage.request("cluster", bytes.fromhex("22 06 00")))
    story.tell("looks at the lock", lambda: stage.unlock_state(holder))
    story.title("An hour and a half later")
    stage.wait(90 * MINUTE_NS)
    story.tell("looks at the lock: it has closed by itself", lambda: stage.unlock_state(holder))
    story.tell("codes the cluster again", lambda: stage.write_coding("cluster", OTHER_CODING), refused=True)
