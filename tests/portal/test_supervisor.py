"""The supervisor of child processes: output, restarts, one group, and nothing left behind however it ends."""

import errno
import importlib
import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from portal import cli
from portal.settings import HOME, SettingsError, make
from portal.supervisor import command
from portal.supervisor.children import Child, Supervisor
from portal.supervisor.launch import CAN_FORK, Launch, Process, apart, forked, spawned
from portal.supervisor.process import alive

PYTHON = sys.executable
BOTH = [spawned, pytest.param(forked, marks=pytest.mark.skipif(not CAN_FORK, reason="forks are for Linux"))]


def script(text: str) -> list[str]:
    return [PYTHON, "-u", "-c", text]


@pytest.fixture(params=BOTH, ids=["spawned", "forked"])
def launch(request: pytest.FixtureRequest) -> Launch:
    """Each way to start a child keeps the same promises."""
    way: Launch = request.param
    return way


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a module of a text; its name."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def program(text: str) -> str:
        name = f"program_{len(list(tmp_path.iterdir()))}"
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    return program


Programs = Callable[[str], str]


def supervise(
    children: list[Child],
    until: Callable[[Supervisor, str], bool],
    launch: Launch = spawned,
    keep: Sequence[int] = (),
) -> tuple[Supervisor, str]:
    """Run until `until(supervisor, output)` is true, then stop it as Ctrl-C would."""
    out = io.StringIO()
    supervisor = Supervisor(children, out, launch=launch, keep=keep)

    def tick() -> bool:
        if until(supervisor, out.getvalue()) or any(child.restarts > 9 for child in children):
            os.kill(os.getpid(), signal.SIGINT)
        return False

    supervisor.tick = tick
    supervisor.run()
    return supervisor, out.getvalue()


def test_output_is_passed_on_whole_lines_with_the_name(launch: Launch, programs: Programs) -> None:
    talk = programs(
        "import signal, sys; sys.stdout.write('one\\ntw'); sys.stdout.write('o\\n');"
        "sys.stderr.write('three\\n'); signal.pause()"
    )
    _, text = supervise([Child("web", talk)], lambda _, out: "three" in out, launch)
    assert "web | one\n" in text
    assert "web | two\n" in text
    assert "web | three\n" in text


def test_a_child_is_a_program_with_arguments(launch: Launch, programs: Programs) -> None:
    name = programs("import sys; print(__name__, sys.argv[1:], repr(sys.stdin.read()))")
    child = Child("worker", name, ["-c", "2"])
    _, text = supervise([child], lambda _, out: "ended with" in out, launch)
    assert "worker | __main__ ['-c', '2'] ''\n" in text
    assert "ended with code 0" in text


def test_a_child_that_dies_is_started_again_with_a_growing_pause(launch: Launch, programs: Programs) -> None:
    child = Child("worker", programs("print('up'); raise SystemExit(3)"))
    supervisor, text = supervise(
        [child], lambda _, out: out.count("| up") >= 2 and out.count("ended") >= 2, launch
    )
    assert supervisor.children[0].restarts >= 1
    pauses = [float(p) for p in re.findall(r"ended with code 3; starting it again in ([\d.]+) s", text)]
    assert pauses[:2] == [0.5, 1.0]


def test_a_fault_in_one_child_is_told_and_does_not_touch_the_others(
    launch: Launch, programs: Programs
) -> None:
    faulty, sound = programs("import no_such_library"), programs("import signal; print('up'); signal.pause()")
    supervisor, text = supervise(
        [Child("worker", faulty), Child("web", sound)], lambda _, out: out.count("ended") >= 2, launch
    )
    assert "worker | ModuleNotFoundError: No module named 'no_such_library'" in text
    assert "ended with code 1" in text
    assert supervisor.children[1].restarts == 0 and text.count("| up") == 1


def test_starting_again_and_again_uses_nothing_up(
    launch: Launch, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.supervisor.children.FIRST_PAUSE_S", 0.0)
    opened: list[int] = []

    def until(supervisor: Supervisor, _: str) -> bool:
        supervisor.children[0].pause = 0.0
        if supervisor.children[0].process is None:
            opened.append(len(os.listdir("/dev/fd")))
        return len(opened) > 5

    supervise([Child("worker", programs("pass"))], until, launch)
    assert len(set(opened)) == 1


def test_a_child_that_cannot_be_started_is_tried_again(programs: Programs) -> None:
    tried = []

    def launch(
        name: str, module: str, arguments: Sequence[str], *, group: int, keep: Collection[int] = ()
    ) -> Process:
        tried.append(name)
        if len(tried) == 1:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return spawned(name, module, arguments, group=group, keep=keep)

    child = Child("web", programs("import signal; print('up'); signal.pause()"))
    _, text = supervise([child], lambda _, out: "| up" in out, launch)
    assert (
        "could not be started: [Errno 11] Resource temporarily unavailable; starting it again in 0.5 s"
        in text
    )


def test_a_killed_child_is_named_with_its_signal(launch: Launch, programs: Programs) -> None:
    child = Child("beat", programs("import os; os.kill(os.getpid(), 9)"))
    _, text = supervise([child], lambda _, out: "killed by signal 9" in out, launch)
    assert "beat | killed by signal 9" in text


def test_children_share_one_group_that_is_not_ours(launch: Launch, programs: Programs) -> None:
    sleep = programs("import os, signal; print('group', os.getpgrp()); signal.pause()")
    _, text = supervise(
        [Child("a", sleep), Child("b", sleep)], lambda _, out: out.count("group") == 2, launch
    )
    groups = set(re.findall(r"group (\d+)", text))
    assert len(groups) == 1
    assert int(groups.pop()) != os.getpgrp()


def test_when_everybody_has_died_the_next_child_founds_another_group(
    launch: Launch, programs: Programs
) -> None:
    again = programs("import os; print('group', os.getpgrp(), os.getpid())")
    _, text = supervise([Child("a", again)], lambda _, out: out.count("group") == 2, launch)
    assert all(group == pid for group, pid in re.findall(r"group (\d+) (\d+)", text))


def test_a_child_gets_no_file_of_ours_but_those_it_should_keep(
    launch: Launch, programs: Programs, tmp_path: Path
) -> None:
    """A lock that it held on to would tell others that we live."""
    look = programs(
        "import os, sys\n"
        "for fd in os.listdir('/dev/fd'):\n"
        "    try: print('file', os.path.basename(os.readlink('/dev/fd/' + fd)))\n"
        "    except OSError: pass\n"
        "print('done')"
    )
    with open(tmp_path / "up.lock", "w") as kept, open(tmp_path / "pg.users", "w") as ours:
        os.set_inheritable(ours.fileno(), True)
        _, text = supervise([Child("a", look)], lambda _, out: "done" in out, launch, keep=[kept.fileno()])
    assert "file up.lock" in text
    assert "pg.users" not in text


def test_a_child_has_the_signal_handlers_of_a_new_program(launch: Launch, programs: Programs) -> None:
    tell = programs(
        "import signal\n"
        "for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):\n"
        "    print(s.name, getattr(signal.getsignal(s), '__name__', signal.getsignal(s)))\n"
        "print('blocked', signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.set_wakeup_fd(-1))"
    )
    _, text = supervise([Child("a", tell)], lambda _, out: "blocked" in out, launch)
    for said in ("SIGTERM 0", "SIGINT default_int_handler", "SIGHUP 0", "SIGCHLD 0", "blocked set() -1"):
        assert said in text


def test_children_draw_different_numbers(launch: Launch, programs: Programs) -> None:
    """Copies of one process must not become each other's twins: ids, draws, secrets."""
    draw = programs(
        "import random, secrets; from portal.db import new_id\n"
        "print('drawn', random.random(), secrets.token_hex(8), new_id())"
    )
    random_state = __import__("random").random()  # as any process has drawn before
    _, text = supervise([Child("a", draw), Child("b", draw)], lambda _, out: out.count("drawn") >= 2, launch)
    drawn = [line.split()[-3:] for line in text.splitlines() if "drawn" in line][:2]
    assert random_state is not None
    assert all(one != other for one, other in zip(*drawn, strict=True))


def test_a_grandchild_that_ignores_sigterm_is_gone_too(launch: Launch, programs: Programs) -> None:
    stubborn = programs(
        "import subprocess, sys, signal\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "'import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()'],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print('grandchild', child.pid); signal.pause()"
    )
    _, text = supervise([Child("web", stubborn)], lambda _, out: "grandchild" in out, launch)
    found = re.search(r"grandchild (\d+)", text)
    assert found
    assert not alive(int(found[1]))


def test_later_children_wait_for_the_first_page(launch: Launch, programs: Programs) -> None:
    order: list[str] = []
    first = Child("web", programs("import signal; print('web up'); signal.pause()"))
    second = Child("worker", programs("import signal; print('worker up'); signal.pause()"), later=True)
    out = io.StringIO()
    supervisor = Supervisor([first, second], out, launch=launch)

    def then_stop() -> bool:
        if "worker up" in out.getvalue():
            os.kill(os.getpid(), signal.SIGINT)
        return False

    def tick() -> bool:
        if "web up" not in out.getvalue():
            return False
        order.append("page served" if second.process is None else "too early")
        supervisor.tick = then_stop
        supervisor._start_later()
        return False

    supervisor.tick = tick
    supervisor.run()
    assert order == ["page served"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties lives together on Linux only")
def test_nothing_survives_kill_9_of_the_supervisor(launch: Launch, programs: Programs) -> None:
    sleep = programs("import os, signal; print('pid', os.getpid()); signal.pause()")
    boss = subprocess.Popen(
        script(
            "from portal.supervisor import launch\n"
            "from portal.supervisor.children import Child, Supervisor\n"
            f"children = [Child('a', {sleep!r}), Child('b', {sleep!r})]\n"
            f"Supervisor(children, launch=launch.{launch.__name__}).run()"  # type: ignore[attr-defined]
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert boss.stdout is not None
    pids = [int(boss.stdout.readline().split()[-1]) for _ in range(2)]
    watch = [os.pidfd_open(pid) for pid in pids]
    boss.kill()
    boss.wait()
    for handle in watch:
        assert select.select([handle], [], [], 30)[0], "a child outlived its supervisor"
        os.close(handle)
    boss.stdout.close()


LOADED = """
import json, os, sys
from portal.settings import load
from portal.supervisor import command, preload
command.set_environment(load())
preload.MODULES = (*preload.MODULES, *sys.argv[1:])
files = len(os.listdir("/proc/self/fd"))
well = preload.preload()
once = set(sys.modules)
web = "portal.events.celery" in once
import portal.events.beat
said = {
    "well": well, "web wakes": web, "threads": len(os.listdir("/proc/self/task")),
    "files": len(os.listdir("/proc/self/fd")) - files,
    "more": sorted(set(sys.modules) - once - {"portal.events.beat", "portal.events.celery"}),
}
print(json.dumps(said))
"""


def loaded(tmp_path: Path, *more: str) -> dict[str, object]:
    done = subprocess.run(
        [PYTHON, "-c", LOADED, *more],
        env={**os.environ, "VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert not done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


@pytest.mark.skipif(not CAN_FORK, reason="forks are for Linux")
def test_what_children_need_is_loaded_once_and_leaves_nothing_that_a_fork_would_break(tmp_path: Path) -> None:
    assert loaded(tmp_path) == {"well": True, "web wakes": False, "threads": 1, "files": 0, "more": []}


@pytest.mark.skipif(not CAN_FORK, reason="forks are for Linux")
def test_what_cannot_be_loaded_does_not_stop_the_start(tmp_path: Path) -> None:
    """Children are spawned then, and the one that needs it says so."""
    assert loaded(tmp_path, "no_such_library")["well"] is False


@pytest.mark.skipif(not CAN_FORK, reason="forks are for Linux")
def test_what_is_done_apart_leaves_no_thread_and_tells_how_it_ended() -> None:
    before = threading.active_count()
    assert apart(lambda: threading.Thread(target=signal.pause, daemon=True).start()) == 0
    assert threading.active_count() == before
    assert apart(lambda: sys.exit(3)) == 3


@pytest.mark.skipif(not CAN_FORK, reason="forks are for Linux")
def test_a_database_that_cannot_be_prepared_is_told_in_one_line(tmp_path: Path) -> None:
    text = (
        "from portal.settings import SettingsError\nfrom portal.supervisor import command\n"
        "def refuse(): raise SettingsError('DATABASE_URL', 'x', 'Choose another.')\n"
        "command._apart(refuse); print('went on')"
    )
    done = subprocess.run(script(text), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "Error: Setting DATABASE_URL = 'x' cannot be used. Choose another.\n"
    assert not done.stdout


def test_a_busy_port_is_named_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"PORT = {port}.*another"):
            command.check_port(make(port=port))


def test_children_of_a_killed_supervisor_are_waited_for() -> None:
    """A service manager starts the next one at once, while those of the killed one still hold the port."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    looks = []

    def lingering() -> bool:
        looks.append(True)
        taken.close()
        return True

    command.check_port(make(port=taken.getsockname()[1]), lingering)
    assert looks == [True]


def test_children_left_behind_are_told_from_a_living_supervisor(tmp_path: Path) -> None:
    lock = tmp_path / "up.lock"
    holds = (
        "import fcntl, sys, signal; file = open(sys.argv[1], 'w+')\n"
        "for name in sys.argv[2:]: getattr(fcntl, name)(file, fcntl.LOCK_SH)\n"
        "print('held', flush=True); signal.pause()"
    )

    def others(*locks: str) -> bool:
        other = subprocess.Popen([*script(holds), str(lock), *locks], stdout=subprocess.PIPE)
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with lock.open("w+") as file:
            found = command.orphans(file)
        other.kill()
        other.wait()
        other.stdout.close()
        return found

    assert not others(), "nobody"
    assert others("flock"), "only what its children inherited"
    assert not others("flock", "lockf"), "it lives: its port is not waited for"


def test_the_watch_goes_on_after_an_error(programs: Programs) -> None:
    looks = []

    def watch() -> None:
        looks.append(True)
        if len(looks) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        raise OSError("No space left on device")

    out = io.StringIO()
    supervisor = Supervisor([Child("web", programs("import signal; signal.pause()"))], out, watch=watch)
    supervisor.tick = lambda: bool(setattr(supervisor, "watched_at", 0.0))  # look at once, not every second
    supervisor.run()
    assert len(looks) == 3
    assert "OSError: No space left" in out.getvalue()


def test_figures_are_kept_in_memory_and_never_in_a_folder_of_somebody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process that writes to a mapped file on a full disk is killed: web and worker would go with the disk."""
    settings = make(var_dir=tmp_path / "var")
    monkeypatch.setattr(command, "MEMORY", tmp_path)
    folder = command.metrics_folder(settings)
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
    (folder / "old.db").touch()
    assert command.metrics_folder(settings) == folder and not list(folder.iterdir())
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    assert command.metrics_folder(settings) == tmp_path / "var" / "metrics"


def test_every_child_of_this_checkout_is_wanted() -> None:
    names = [child.name for child in command.children(make())]
    assert names == ["web", "worker", "beat", "sequencer"]
    assert [c.later for c in command.children(make())] == [False, True, True, True]


@pytest.mark.parametrize(("number", "said"), [(errno.EROFS, "Read-only"), (errno.ENOSPC, "No space left")])
def test_a_folder_that_cannot_be_written_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, said: str
) -> None:
    def refuses() -> None:
        raise OSError(number, os.strerror(number), "/srv/interline/up.lock")

    monkeypatch.setattr(cli, "interline", refuses)
    with pytest.raises(SystemExit):
        cli.main()
    error = capsys.readouterr().err
    assert said in error and "/srv/interline/up.lock" in error and "VAR_DIR" in error


def test_the_server_does_not_wonder_at_its_threads_and_still_warns() -> None:
    """Granian's own settings of its log with ours on top; its remark is looked up, for a new version may word it anew."""
    web = next(child.arguments for child in command.children(make()) if child.name == "web")
    file = web[web.index("--log-config") + 1]
    remark = "which seems quite high compared to the number of CPU cores available. "
    tried = f"""
import inspect, json, granian.log, granian.server.mp
assert {remark!r} in inspect.getsource(granian.server.mp)
granian.log.configure_logging(granian.log.LogLevels.warning, json.load(open({file!r})))
granian.log.logger.warning("64 Python threads, " + {remark!r})
granian.log.logger.warning("Killing worker-1")
"""
    done = subprocess.run([PYTHON, "-c", tried], capture_output=True, text=True, check=True, cwd=HOME)
    assert done.stdout.splitlines() == ["[WARNING] Killing worker-1"]
