"""os, pathlib, shutil, tempfile, io, zipfile, tarfile and sqlite3 on real files, in the granted directory /data.

Each section prints one line; a check that fails ends the run with a traceback.
"""
import errno
import io
import os
import pathlib
import shutil
import sqlite3
import stat
import tarfile
import tempfile
import zipfile

ROOT = pathlib.Path("/data")
os.chdir(ROOT)


def fails(number, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except OSError as error:
        assert error.errno == number, (call, args, errno.errorcode.get(error.errno))
    else:
        raise AssertionError((call, args))


def test_os():
    os.makedirs("a/b/c")
    fails(errno.EEXIST, os.mkdir, "a")
    fails(errno.ENOTEMPTY, os.rmdir, "a")
    fd = os.open("a/f", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    assert os.write(fd, b"0123456789") == 10
    assert os.lseek(fd, 2, os.SEEK_SET) == 2 and os.read(fd, 3) == b"234"
    os.ftruncate(fd, 6)
    assert os.fstat(fd).st_size == 6
    assert os.pread(fd, 2, 1) == b"12" and os.pwrite(fd, b"AB", 1) == 2
    os.fsync(fd)
    os.close(fd)
    fails(errno.EBADF, os.read, fd, 1)
    fails(errno.EEXIST, os.open, "a/f", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.utime("a/f", ns=(1_000_000_001, 2_000_000_002))
    found = os.stat("a/f")
    assert (found.st_atime_ns, found.st_mtime_ns, found.st_size) == (1_000_000_001, 2_000_000_002, 6)
    os.link("a/f", "a/hard")
    assert os.stat("a/hard").st_nlink == 2 and os.path.samefile("a/f", "a/hard")
    os.symlink("f", "a/soft")
    assert os.readlink("a/soft") == "f" and stat.S_ISLNK(os.lstat("a/soft").st_mode)
    os.rename("a/hard", "a/b/moved")
    os.replace("a/b/moved", "a/f2")
    os.remove("a/f2")
    assert sorted(os.listdir("a")) == ["b", "f", "soft"]
    with os.scandir("a") as entries:
        kinds = {entry.name: (entry.is_dir(), entry.is_symlink()) for entry in entries}
    assert kinds == {"b": (True, False), "f": (False, False), "soft": (False, True)}
    walked = [(where, sorted(dirs), sorted(files)) for where, dirs, files in os.walk("a")]
    assert walked == [("a", ["b"], ["f", "soft"]), ("a/b", ["c"], []), ("a/b/c", [], [])]
    os.rmdir("a/b/c")
    os.remove("a/soft")
    for path in ["/etc/passwd", "/data/../etc/passwd", "../etc/passwd"]:
        assert not os.path.exists(path)
    for path in ["/", "..", "/data/.."]:
        try:
            os.listdir(path)
        except OSError:
            continue
        raise AssertionError(path)
    assert not hasattr(os, "fork") and not hasattr(os, "kill")
    print("os", os.getcwd())


def test_pathlib():
    base = ROOT / "p"
    base.mkdir()
    (base / "x.txt").write_text("hélló\nworld\n", encoding="utf-8")
    assert (base / "x.txt").read_bytes() == "hélló\nworld\n".encode()
    (base / "sub" / "deep").mkdir(parents=True)
    (base / "sub" / "deep" / "y.txt").touch()
    assert [str(path.relative_to(base)) for path in sorted(base.rglob("*.txt"))] == ["sub/deep/y.txt", "x.txt"]
    assert (base / "x.txt").stat().st_size == 14 and (base / "sub").is_dir()
    (base / "link").symlink_to("x.txt")
    assert (base / "link").read_text("utf-8").startswith("hé") and (base / "link").is_symlink()
    assert (base / "link").resolve() == base / "x.txt"
    (base / "x.txt").rename(base / "z.txt")
    assert not (base / "link").exists()
    (base / "link").unlink()
    fails(errno.ENOENT, (base / "missing").unlink)
    print("pathlib", sorted(path.name for path in base.iterdir()))


def test_shutil():
    shutil.copytree("p", "copied")
    assert (ROOT / "copied/sub/deep/y.txt").exists()
    shutil.copyfile("p/z.txt", "copied/again")
    shutil.move("copied/again", "copied/sub/again")
    assert (ROOT / "copied/sub/again").read_bytes() == (ROOT / "p/z.txt").read_bytes()
    shutil.rmtree("copied")
    fails(errno.ENOENT, shutil.rmtree, "copied")
    print("shutil", os.path.exists("copied"))


def test_tempfile():
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        with tempfile.NamedTemporaryFile(dir=name) as file:
            file.write(b"temporary")
            file.flush()
            assert os.path.getsize(file.name) == 9
        assert os.listdir(name) == []
        with tempfile.TemporaryFile(dir=name) as file:
            file.write(b"anonymous")
            file.seek(0)
            assert file.read() == b"anonymous"
        fd, path = tempfile.mkstemp(dir=name)
        os.close(fd)
    assert not os.path.exists(path)
    print("tempfile", os.path.exists(name))


def test_io():
    with open("lines", "w+", encoding="utf-8", newline="") as file:
        file.writelines(f"{number}\r\n" for number in range(20_000))
        file.seek(0)
        assert sum(int(line) for line in file) == 199_990_000
    with open("lines", encoding="utf-8") as file:
        assert file.readline() == "0\n" and file.tell() == 3
    with open("lines", "r+b", buffering=0) as file:
        assert isinstance(file, io.FileIO) and file.seek(-3, os.SEEK_END) > 0
        assert file.read() == b"9\r\n"
        file.truncate(6)
    with open("lines", "ab") as file:
        assert file.tell() == 6 and file.write(b"end") == 3
    with open("lines", "rb") as file:
        buffer = bytearray(4)
        assert file.readinto(buffer) == 4 and bytes(buffer) == b"0\r\n1"
    fails(errno.EEXIST, open, "lines", "x")
    fails(errno.EISDIR, open, "p", "w")
    fails(errno.ENOTDIR, open, "lines/x")
    print("io", os.path.getsize("lines"))


def test_archives():
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write("p/z.txt")
        archive.writestr("made/up", b"x" * 100_000)
    with zipfile.ZipFile("a.zip", "a") as archive:
        archive.writestr("late", b"late")
    with zipfile.ZipFile("a.zip") as archive:
        assert archive.testzip() is None and archive.namelist() == ["p/z.txt", "made/up", "late"]
        archive.extractall("unzipped")
    assert os.path.getsize("unzipped/made/up") == 100_000
    with tarfile.open("a.tar.gz", "w:gz") as archive:
        archive.add("p")
    with tarfile.open("a.tar.gz") as archive:
        names = sorted(archive.getnames())
        archive.extractall("untarred", filter="data")
    assert pathlib.Path("untarred/p/z.txt").read_bytes() == pathlib.Path("p/z.txt").read_bytes()
    shutil.rmtree("unzipped")
    shutil.rmtree("untarred")
    os.remove("a.zip")
    os.remove("a.tar.gz")
    print("archives", names)


def test_sqlite():
    database = sqlite3.connect("x.db")
    database.execute("create table numbers(n integer primary key, square integer, text text)")
    with database:
        database.executemany(
            "insert into numbers values(?, ?, ?)", ((number, number * number, "x" * 50) for number in range(5000))
        )
    try:
        with database:
            database.execute("delete from numbers")
            raise ValueError
    except ValueError:
        pass
    database.execute("create index squares on numbers(square)")
    database.execute("vacuum")
    database.close()
    database = sqlite3.connect("x.db")
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    counted = database.execute("select count(*), sum(square) from numbers").fetchone()
    copy = sqlite3.connect("copy.db")
    database.backup(copy)
    assert copy.execute("select count(*) from numbers").fetchone() == (5000,)
    copy.close()
    database.close()
    os.remove("x.db")
    os.remove("copy.db")
    print("sqlite", *counted)


for test in [test_os, test_pathlib, test_shutil, test_tempfile, test_io, test_archives, test_sqlite]:
    test()
