"""Downloads against a server of our own on the loopback interface."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dialog_gym import downloads
from dialog_gym.core import DialogGymError
from dialog_gym.downloads import adopt, blob_id, cache_folder, data_folder, fetch

CONTENT = bytes(range(256)) * 1200
"""Several times what is copied at once."""


def git_id(content):
    return hashlib.sha1(b"blob " + str(len(content)).encode() + b"\0" + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; `server.cuts` are numbers of bytes after which a connection breaks, one each."""

    def do_GET(self):
        shop = self.server
        shop.ranges.append(self.headers.get("Range"))
        if shop.failures:
            self.send_error(shop.failures.pop(0))
            return
        content = shop.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = 0
        if shop.resumes and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if shop.tells_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + shop.cuts.pop(0) if shop.cuts else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    shop = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.files, shop.cuts, shop.failures, shop.ranges = {"/file": CONTENT}, [], [], []
    shop.resumes = shop.tells_length = True
    thread = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    shop.url = f"http://127.0.0.1:{shop.server_port}/file"
    yield shop
    shop.shutdown()
    thread.join()
    shop.server_close()


def nothing(done, total, label=""):
    pass


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_blob_id_is_gits(tmp_path):
    (tmp_path / "a").write_bytes(b"hello\n")
    assert blob_id(tmp_path / "a") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_a_file_is_downloaded_with_progress(server, tmp_path):
    seen = []
    fetch(server.url, tmp_path / "deep" / "file", git_id(CONTENT), lambda *told: seen.append(told))
    assert (tmp_path / "deep" / "file").read_bytes() == CONTENT
    assert files_below(tmp_path) == ["file"]
    assert seen[-1] == (len(CONTENT), len(CONTENT), "file")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_a_cut_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.cuts = [100_000, 50_000]
    fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_killed_download_is_taken_up_by_the_next(server, tmp_path):
    (tmp_path / ".file.part").write_bytes(CONTENT[:70_000])
    fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert server.ranges == ["bytes=70000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_complete_part_only_needs_its_name(server, tmp_path):
    (tmp_path / ".file.part").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"of another file" * 1000, CONTENT + b"and more"])
def test_a_stale_part_is_thrown_away(server, tmp_path, stale):
    (tmp_path / ".file.part").write_bytes(stale)
    fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges[-1] is None


def test_a_server_that_cannot_resume(server, tmp_path):
    server.resumes, server.cuts = False, [100_000]
    fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_does_not_tell_the_length(server, tmp_path):
    server.tells_length = False
    fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.failures = [503, 429]
    fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert (tmp_path / "file").read_bytes() == CONTENT


def failure(server, tmp_path, path="/file"):
    url = server.url.replace("/file", path)
    with pytest.raises(DialogGymError) as error:
        fetch(url, tmp_path / "file", git_id(CONTENT), nothing)
    line = str(error.value)
    assert "\n" not in line and url in line and not (tmp_path / "file").exists()
    return line


def test_a_corrupted_file_is_not_kept(server, tmp_path):
    server.files["/file"] = CONTENT[:-1] + b"x"
    assert "is not the expected file (its checksum is not" in failure(server, tmp_path)
    assert files_below(tmp_path) == []


def test_a_file_that_is_right_stays_when_a_newer_one_is_wrong(server, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    server.files["/file"] = b"wrong"
    with pytest.raises(DialogGymError):
        fetch(server.url, tmp_path / "file", git_id(CONTENT), nothing)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_missing_file(server, tmp_path):
    assert "HTTP 404 Not Found" in failure(server, tmp_path, "/other")
    assert files_below(tmp_path) == []
    assert len(server.ranges) == 1, "a file that is not there is asked for once"


def test_a_connection_that_brings_nothing_more_is_given_up(server, tmp_path):
    server.cuts = [1000] + [0] * downloads.ATTEMPTS
    line = failure(server, tmp_path)
    assert "1,000 bytes are kept, run it again to go on" in line
    assert (tmp_path / ".file.part").stat().st_size == 1000
    assert len(server.ranges) == 1 + downloads.ATTEMPTS


def test_nobody_answers(tmp_path, server):
    server.server_close()
    assert "cannot download" in failure(server, tmp_path)
    assert files_below(tmp_path) == []


def test_local_files_are_copied_unpacked_and_verified(tmp_path):
    (tmp_path / "plain").write_bytes(CONTENT)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT))
    for source in ("plain", "packed.gz"):
        adopt(tmp_path / source, tmp_path / "new" / "file", git_id(CONTENT))
        assert (tmp_path / "new" / "file").read_bytes() == CONTENT
        (tmp_path / "new" / "file").unlink()
    with pytest.raises(DialogGymError, match="plain is not the file of the release"):
        adopt(tmp_path / "plain", tmp_path / "new" / "file", git_id(b"other"))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT)[:100])
    with pytest.raises(DialogGymError, match="cannot unpack"):
        adopt(tmp_path / "packed.gz", tmp_path / "new" / "file", git_id(CONTENT))
    assert files_below(tmp_path / "new") == []


def test_where_data_is(monkeypatch, tmp_path):
    monkeypatch.setenv("DIALOG_GYM_DATA", "/somewhere")
    assert str(data_folder()) == "/somewhere"
    assert data_folder(tmp_path) == tmp_path
    monkeypatch.setenv("DIALOG_GYM_DATA", "")
    monkeypatch.setattr(downloads.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "dialog-gym" / "data"
    for platform in ("darwin", "win32"):
        monkeypatch.setattr(downloads.sys, "platform", platform)
        assert cache_folder().name == "dialog-gym"
