"""What every place that runs training jobs must do. Another implementation is one more parameter of `place`."""

import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from patience import until
from places import LocalRay, Place, Wire, alive, waiting_process

from resources.compute import SUBMISSIONS, Compute, ComputeUnavailable, Job, JobFailed, NotPlaceable, State
from resources.compute.folder import JobFolder
from resources.compute.ray_jobs import RayJobs
from resources.embedded.network import free_ports
from workloads.sdk.contract import Tier
from workloads.sdk.programs.spec import Result, Spec

SMALL = Tier(memory_gib=0.1)
LINES = [f"step {step} of größe" for step in range(3)]


@pytest.fixture(scope="module", params=[LocalRay])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    home = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp")).resolve()
    one = request.param(home, free_ports(6))
    try:
        one.start()
        yield one
    finally:
        one.kill()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A workload's package outside this repository, as a team's own would be."""
    name = f"toys_{uuid4().hex[:8]}"
    folder = tmp_path / name / "toy"
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("toy_train.py"), folder / "train.py")
    (folder / "__init__.py").touch()
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return f"{name}.toy"


class Toy:
    """A job, and what its program leaves for the test to see."""

    def __init__(self, folder: Path, package: str, tier: Tier, parameters: dict) -> None:
        folder.mkdir()
        self.gate, self.journal = folder / "gate", folder / "journal"
        parameters = parameters | {"journal": str(self.journal)}
        if parameters.get("until"):
            parameters["until"] = str(self.gate)
        self.spec = Spec(package=package, data={}, data_version="1.0.0", parameters=parameters, tier=tier)
        self.job = Job("toy", self.spec, uuid4().hex)

    def starts(self) -> list[int]:
        """Process ids of the program's starts."""
        return [int(line) for line in self.journal.read_text().split()] if self.journal.exists() else []


@pytest.fixture
def toy(tmp_path: Path, package: str, place: Place) -> Iterator[Callable[..., Toy]]:
    made: list[Toy] = []

    def make(tier: Tier = SMALL, **parameters: object) -> Toy:
        made.append(Toy(tmp_path / f"job-{len(made)}", package, tier, parameters))
        return made[-1]

    yield make
    for one in made:
        one.gate.touch()
        if name := place.compute().attach(one.job):
            place.compute().stop(name)


class Waiting(threading.Thread):
    """`run` in a thread; `lines` is what the step's log gets."""

    def __init__(self, compute: Compute, job: Job) -> None:
        super().__init__(daemon=True)
        self.compute, self.job = compute, job
        self.lines: list[str] = []
        self.result: Result | None = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.compute.run(self.job, self.lines.append)
        except Exception as error:
            self.error = error

    def end(self) -> Result:
        self.join(60)
        assert self.error is None, self.error
        assert self.result is not None, "it still waits"
        return self.result


def of_the_program(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(("step", "waiting"))]


def test_trains_once_for_a_root_run_and_again_for_another(place: Place, toy) -> None:
    one, lines = toy(), []
    assert place.compute().run(one.job, lines.append).metrics == {"score": 0.5}
    assert of_the_program(lines) == LINES
    assert place.compute().run(one.job).metrics == {"score": 0.5}
    assert len(one.starts()) == 1
    place.compute().run(Job("toy", one.spec, "another materialization"))
    assert len(one.starts()) == 2
    (place.compute().folder(one.job) / "out" / "artifacts" / "model").write_bytes(b"altered")
    place.compute().run(one.job)  # a result whose files are not what it says is none
    assert len(one.starts()) == 3


def test_what_an_ended_job_left_is_deleted_after_a_time(place: Place, toy) -> None:
    ended, living = toy(), toy(until=True)
    place.compute().run(ended.job)
    place.compute().submit(living.job)
    until(living.starts)
    assert place.compute().prune() == 0
    left = len(list(place.compute().folder(ended.job).parent.iterdir()))
    assert place.compute().prune(days=0) == left - 1
    assert not place.compute().folder(ended.job).exists()
    assert place.compute().folder(living.job).exists()


def test_attaches_when_the_waiting_process_was_killed(place: Place, toy, tmp_path: Path) -> None:
    one = toy(until=True)
    process = waiting_process(place, tmp_path, one.job)
    until(one.starts)
    process.kill()
    process.wait()
    again = Waiting(place.compute(), one.job)
    until(lambda: any(line.startswith("waiting") for line in again.lines))
    one.gate.touch()
    again.end()
    assert of_the_program(again.lines)[:3] == LINES
    assert len(one.starts()) == 1


def test_two_that_run_the_same_job_at_once_share_one(place: Place, toy, tmp_path: Path) -> None:
    one = toy(until=True)
    processes = [waiting_process(place, tmp_path, one.job) for _ in range(2)]
    threads = [Waiting(place.compute(), one.job) for _ in range(2)]
    until(lambda: all(any(line.startswith("waiting") for line in thread.lines) for thread in threads))
    one.gate.touch()
    assert [thread.end().metrics for thread in threads] == [{"score": 0.5}] * 2
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(one.starts()) == 1
    assert sum(line.startswith("submitted") for thread in threads for line in thread.lines) <= 1


def test_what_was_read_of_a_log_is_not_asked_for_again(place: Place, toy) -> None:
    one = toy()
    place.compute().run(one.job)
    name = f"{place.compute().folder(one.job).name}-1"
    jobs = RayJobs(place.settings)
    jobs.status(name)
    whole = jobs.output(name, 0)
    assert whole.decode().split("\n")[-4:-1] == LINES
    assert jobs.output(name, len(whole)) == b""
    assert jobs.output(name, len(whole) - 6) == whole[-6:]
    assert jobs._agents[name], "the node's agent gives parts, the head of Ray only the whole log"
    jobs._agents[name] = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert jobs.output(name, len(whole) - 6) == whole[-6:]  # by way of the head


def test_a_list_that_is_cut_is_refused(place: Place, toy, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        place.compute().run(toy().job)
    monkeypatch.setattr("resources.compute.ray_jobs.MOST_ROWS", 1)
    with pytest.raises(ComputeUnavailable, match="lists only 1 of its jobs"):
        RayJobs(place.settings)._state("jobs")


def test_a_cancelled_step_stops_its_job(place: Place, toy, tmp_path: Path) -> None:
    one = toy(until=True)
    process = waiting_process(place, tmp_path, one.job)
    until(one.starts)
    name = place.compute().attach(one.job)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert place.compute().status(name).state is State.STOPPED
    assert not alive(one.starts()[0])
    assert place.compute().attach(one.job) is None


def test_a_failed_job_says_why_and_its_retry_goes_on_from_the_checkpoint(place: Place, toy) -> None:
    one = toy(dies_after=2)
    with pytest.raises(JobFailed, match=r"toy on 1\.0\.0 failed with exit code 1") as failed:
        place.compute().run(one.job)
    assert str(failed.value).endswith("step 0 of größe\nstep 1 of größe\nthe disk is on fire")
    assert place.compute().run(one.job).resumed_from == "2"


def test_a_job_that_ends_without_a_result_has_failed(place: Place, toy) -> None:
    with pytest.raises(JobFailed, match="ended without a result"):
        place.compute().run(toy(result=False).job)


def test_a_job_that_somebody_stops(place: Place, toy) -> None:
    one = toy(until=True)
    waiting = Waiting(place.compute(), one.job)
    until(one.starts)
    place.compute().stop(place.compute().attach(one.job))
    waiting.join(30)
    assert isinstance(waiting.error, JobFailed)
    assert "was stopped" in str(waiting.error)


def test_a_broken_connection_loses_and_repeats_no_line(place: Place, toy) -> None:
    one = toy(until=True)
    wire = Wire(place.settings.ray_dashboard_port)
    waiting = Waiting(place.compute(ray_url=f"http://127.0.0.1:{wire.port}"), one.job)
    for _ in range(3):
        seen = len(waiting.lines)
        until(lambda seen=seen: len(waiting.lines) > seen + 3)
        refused = wire.cut()
        until(lambda refused=refused: wire.refused > refused)
        wire.mend()
    one.gate.touch()
    waiting.end()
    wire.close()
    name = f"{place.compute().folder(one.job).name}-1"
    assert of_the_program(waiting.lines) == of_the_program(list(place.compute().logs(name)))
    assert len(set(waiting.lines)) == len(waiting.lines) > 20


def test_what_can_never_be_placed_fails_at_once(place: Place, toy) -> None:
    for tier, wanted in (
        (Tier(cpus=64, memory_gib=1), "it wants 64 CPU, 1 GiB memory; Ray has 2 of 2 CPU"),
        (Tier(workers=2, cpus=1.5), "it wants 2 workers, each with 1.5 CPU"),
        (Tier(gpus=1), "1 GPU"),
    ):
        one = toy(tier)
        with pytest.raises(NotPlaceable, match=wanted):
            place.compute().run(one.job)
        assert not place.compute().folder(one.job).exists()


def test_what_finds_no_room_in_time_fails_and_never_starts(place: Place, toy) -> None:
    busy = toy(Tier(cpus=2, memory_gib=0.1), until=True)
    first = Waiting(place.compute(), busy.job)
    until(busy.starts)
    late = toy(Tier(cpus=1, memory_gib=0.1))
    with pytest.raises(NotPlaceable, match=r"waited 1 s for room.* wants 1 CPU, 0\.1 GiB memory; Ray has 0 of 2 CPU"):
        place.compute(placement_seconds=1).run(late.job)
    assert place.compute().attach(late.job) is None
    busy.gate.touch()
    first.end()
    place.compute().run(toy(Tier(cpus=2, memory_gib=0.1)).job)  # takes its turn behind the one that was stopped
    assert late.starts() == []


def test_workers_that_find_no_room_in_time_fail_though_their_driver_runs(place: Place, toy) -> None:
    busy = toy(Tier(cpus=1, memory_gib=0.1), until=True)
    first = Waiting(place.compute(), busy.job)
    until(busy.starts)
    late = toy(Tier(workers=2, cpus=1, memory_gib=0.1), bundles=[{"CPU": 1}, {"CPU": 1}])
    with pytest.raises(NotPlaceable, match="it wants 2 workers, each with 1 CPU; Ray has 1 of 2 CPU"):
        place.compute(placement_seconds=1).run(late.job)
    assert not alive(late.starts()[0])
    busy.gate.touch()
    first.end()


def test_starts_again_from_the_checkpoint_when_ray_was_restarted(
    place: Place, toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.compute.AWAY_SECONDS", 180)  # a busy machine starts Ray slowly
    one = toy(until=True)
    waiting = Waiting(place.compute(), one.job)
    until(lambda: any(line.startswith("waiting") for line in waiting.lines))
    place.kill()
    assert not alive(one.starts()[0])
    place.start()
    one.gate.touch()
    assert waiting.end().resumed_from == "3"
    assert len(one.starts()) == 2


def test_goes_on_from_the_checkpoint_where_what_ran_it_was_killed_and_not_for_ever(place: Place, toy) -> None:
    one = toy(until=True)
    waiting = Waiting(place.compute(), one.job)

    def lose(attempt: int) -> None:
        until(lambda: len(one.starts()) == attempt)
        place.lose(one.starts()[-1])
        until(lambda: not alive(one.starts()[-1]))

    for attempt in range(1, SUBMISSIONS + 1):
        lose(attempt)
    waiting.join(60)
    assert isinstance(waiting.error, JobFailed)
    assert str(waiting.error).startswith(f"Training toy on 1.0.0 was lost {SUBMISSIONS} times by Ray")
    again = Waiting(place.compute(), one.job)
    lose(SUBMISSIONS + 1)
    one.gate.touch()
    assert again.end().resumed_from == "3"
    (said,) = [line for line in again.lines if line.endswith("another attempt goes on")]
    assert "-4 is gone (" in said, said


def test_names_who_does_not_answer_and_what_is_refused(place: Place, toy) -> None:
    with pytest.raises(ComputeUnavailable, match=f"refuses the token in {place.settings.home}"):
        place.compute(ray_token="another").run(toy().job)
    port = free_ports(1)[0]
    with pytest.raises(ComputeUnavailable, match=rf"Ray does not answer at http://127\.0\.0\.1:{port}; run `mlops up`"):
        place.compute(ray_url=f"http://127.0.0.1:{port}").run(toy().job)


def test_a_package_without_a_program(place: Place) -> None:
    for package in ("json", "no.such.package", "os; touch /tmp/x"):
        with pytest.raises(JobFailed, match="is not a package with a train"):
            place.compute().run(Job("toy", Spec(package=package, data={}), "root"))


def test_names_are_deterministic_and_safe(place: Place, toy) -> None:
    spec = toy().spec.model_copy(update={"data_version": "1.0.0+Grün; rm -rf"})
    path = JobFolder.of(place.settings, Job("toy", spec, "a")).path
    assert path == JobFolder.of(place.settings, Job("toy", spec, "a")).path
    assert path != JobFolder.of(place.settings, Job("toy", spec, "b")).path
    assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert path.name.startswith("dev-toy-1-0-0-gr-n-rm-")
