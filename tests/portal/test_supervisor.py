"""The supervisor of child processes: output, restarts, one group, and nothing left behind however it ends."""

import errno
import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portal import cli
from portal.settings import HOME, SettingsError, make
from portal.supervisor import command
from portal.supervisor.children import Child, Supervisor
from portal.supervisor.process import alive

PYTHON = sys.executable


def script(text: str) -> list[str]:
    return [PYTHON, "-u", "-c", text]


def supervise(children: list[Child], until: Callable[[Supervisor, str], bool]) -> tuple[Supervisor, str]:
    """Run until `until(supervisor, output)` is true, then stop it as Ctrl-C would."""
    out = io.StringIO()
    supervisor = Supervisor(children, dict(os.environ), out)

    def tick() -> bool:
        if until(supervisor, out.getvalue()):
            os.kill(os.getpid(), signal.SIGINT)
        return False

    supervisor.tick = tick
    supervisor.run()
    return supervisor, out.getvalue()


def test_output_is_passed_on_whole_lines_with_the_name() -> None:
    talk = script("import sys; sys.stdout.write('one\\ntw'); sys.stdout.write('o\\n');"
                  "import signal; signal.pause()")  # fmt: skip
    _, text = supervise([Child("web", talk)], lambda _, out: "two" in out)
    assert "web | one\n" in text
    assert "web | two\n" in text


def test_a_child_that_dies_is_started_again_with_a_growing_pause() -> None:
    child = Child("worker", script("print('up'); raise SystemExit(3)"))
    supervisor, text = supervise([child], lambda _, out: out.count("| up") >= 2 and out.count("ended") >= 2)
    assert supervisor.children[0].restarts >= 1
    pauses = [float(p) for p in re.findall(r"ended with code 3; starting it again in ([\d.]+) s", text)]
    assert pauses[:2] == [0.5, 1.0]


def test_a_killed_child_is_named_with_its_signal() -> None:
    child = Child("beat", script("import os; os.kill(os.getpid(), 9)"))
    _, text = supervise([child], lambda _, out: "killed by signal 9" in out)
    assert "beat | killed by signal 9" in text


def test_children_share_one_group_that_is_not_ours() -> None:
    sleep = script("import os, signal; print('group', os.getpgrp()); signal.pause()")
    _, text = supervise([Child("a", sleep), Child("b", sleep)], lambda _, out: out.count("group") == 2)
    groups = set(re.findall(r"group (\d+)", text))
    assert len(groups) == 1
    assert int(groups.pop()) != os.getpgrp()


def test_a_grandchild_that_ignores_sigterm_is_gone_too() -> None:
    stubborn = script(
        "import subprocess, sys, signal\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "'import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()'],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print('grandchild', child.pid); signal.pause()"
    )
    _, text = supervise([Child("web", stubborn)], lambda _, out: "grandchild" in out)
    found = re.search(r"grandchild (\d+)", text)
    assert found
    assert not alive(int(found[1]))


def test_later_children_wait_for_the_first_page() -> None:
    order: list[str] = []
    first = Child("web", script("import signal; print('web up'); signal.pause()"))
    second = Child("worker", script("import signal; print('worker up'); signal.pause()"), later=True)
    out = io.StringIO()
    supervisor = Supervisor([first, second], dict(os.environ), out)

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
def test_nothing_survives_kill_9_of_the_supervisor() -> None:
    boss = subprocess.Popen(
        script(
            "import os, sys\n"
            "from portal.supervisor.children import Child, Supervisor\n"
            "sleep = [sys.executable, '-u', '-c', 'import os, signal; print(\"pid\", os.getpid()); signal.pause()']\n"
            "Supervisor([Child('a', sleep), Child('b', sleep)], dict(os.environ)).run()"
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert boss.stdout is not None
    pids = [int(boss.stdout.readline().split()[-1]) for _ in range(2)]
    watch = [os.pidfd_open(pid) for pid in pids]
    boss.kill()
    boss.wait()
    import select

    for handle in watch:
        assert select.select([handle], [], [], 30)[0], "a child outlived its supervisor"
        os.close(handle)
    boss.stdout.close()


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


def test_the_watch_goes_on_after_an_error() -> None:
    looks = []

    def watch() -> None:
        looks.append(True)
        if len(looks) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        raise OSError("No space left on device")

    out = io.StringIO()
    supervisor = Supervisor(
        [Child("web", script("import signal; signal.pause()"))], dict(os.environ), out, watch=watch
    )
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
    web = next(child.command for child in command.children(make()) if child.name == "web")
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
