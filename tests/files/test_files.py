"""Files are written whole or not at all, and what a user causes ends a script with one sentence and its status."""

import errno
import io
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UserError, listing, printable
from common.files import atomic as files
from common.files.atomic import atomic_path, atomic_write
from tests.conftest import ROOT


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')


# Writing.

@pytest.mark.parametrize(('mode', 'content'), [('wb', b'\0\xff'), ('w', 'Å\n')])
@pytest.mark.parametrize('old', [None, b'old'])
def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path, mode, content, old):
    path = tmp_path / 'new' / 'deep' / 'file.bin'
    if old:
        path.parent.mkdir(parents=True)
        path.write_bytes(old)
    with atomic_write(str(path), mode) as file:
        file.write(content)
        file.flush()
        assert (path.read_bytes() if path.exists() else None) == old
    assert path.read_bytes() == (content if mode == 'wb' else content.encode())
    assert entries(path.parent) == ['file.bin']


def test_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_write('file', 'w') as file:
        file.write('here')
    assert (tmp_path / 'file').read_text() == 'here'


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt, UserError])
def test_an_exception_inside_leaves_the_old_file_and_no_litter(tmp_path, error):
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(error, match='inside'), atomic_write(str(path), 'w') as file:
        file.write('half')
        raise error('inside')
    assert path.read_text() == 'old'
    assert entries(tmp_path) == ['file']


@pytest.mark.parametrize('umask', [0o022, 0o077, 0o002])
def test_permissions_are_the_umask_s(tmp_path, umask):
    before = os.umask(umask)
    try:
        with atomic_write(str(tmp_path / 'file')) as file:
            file.write(b'x')
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'file').stat().st_mode) == 0o666 & ~umask


def test_atomic_path_names_a_file_with_the_suffix(tmp_path):
    path = tmp_path / 'clip.mp4'
    with atomic_path(str(path)) as beside:
        assert beside.endswith('.mp4')
        Path(beside).write_bytes(b'film')
        assert not path.exists()
    assert path.read_bytes() == b'film'
    assert entries(tmp_path) == ['clip.mp4']


def test_the_content_is_on_disk_before_the_rename(tmp_path, monkeypatch):
    """Otherwise a power cut leaves the name with an empty file."""
    steps = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor):
        steps.append(os.fstat(descriptor).st_size if stat.S_ISREG(os.fstat(descriptor).st_mode) else 'folder')
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', watched_fsync)
    monkeypatch.setattr(os, 'replace', lambda *paths: (steps.append('rename'), replace(*paths)))
    with atomic_write(str(tmp_path / 'file')) as file:
        file.write(b'12345')
    assert steps == [5, 'rename', 'folder']


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    fsync = os.fsync
    monkeypatch.setattr(os, 'fsync', lambda descriptor: fsync(descriptor) if stat.S_ISREG(os.fstat(descriptor).st_mode)
                        else full_disk())
    with atomic_write(str(tmp_path / 'file')) as file:
        file.write(b'x')
    assert (tmp_path / 'file').read_bytes() == b'x'


@pytest.mark.parametrize('step', ['fsync', 'replace', 'chmod'])
def test_a_disk_that_is_full_at_any_step(tmp_path, monkeypatch, step):
    path = tmp_path / 'file'
    path.write_text('old')
    monkeypatch.setattr(os, step, full_disk)
    with pytest.raises(UserError) as caught, atomic_write(str(path)) as file:
        file.write(b'new')
    assert str(caught.value) == (f'{path} cannot be written: No space left on device; '
                                 'free some space or choose another folder.')
    assert path.read_text() == 'old'
    assert entries(tmp_path) == ['file']


def test_a_disk_that_is_full_while_writing(tmp_path):
    """The real thing: the system refuses to let a file grow past a limit."""
    path = tmp_path / 'file'
    path.write_text('old')
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(UserError, match='File too large'), atomic_write(str(path)) as file:
            file.write(b'x' * (1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == 'old'
    assert entries(tmp_path) == ['file']


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(UserError, match=r'/file/inside cannot be written: .*choose another folder'):
        atomic_write(str(tmp_path / 'file' / 'inside')).__enter__()
    (tmp_path / 'folder').mkdir()
    with pytest.raises(UserError, match='/folder cannot be written'), atomic_write(str(tmp_path / 'folder')):
        pass
    with pytest.raises(UserError, match='cannot be written'):
        atomic_write('/proc/semgcn/file').__enter__()  # a file system that nobody can write, not even root

    def denied(*_):
        raise PermissionError(errno.EACCES, 'Permission denied')

    monkeypatch.setattr(files.tempfile, 'mkstemp', denied)
    with pytest.raises(UserError, match='file2 cannot be written: Permission denied'):
        atomic_write(str(tmp_path / 'file2')).__enter__()
    assert entries(tmp_path) == ['file', 'folder']


# The frame of every script.

@pytest.mark.parametrize(('error', 'status', 'sentence'), [
    (UserError('data.npz is not there.'), 2, 'script.py: data.npz is not there.\n'),
    (OSError(errno.ENOSPC, 'No space left on device'), 2, 'script.py: No space left on device.\n'),
    (FileNotFoundError(errno.ENOENT, 'No such file or directory', 'a.npz'), 2,
     'script.py: No such file or directory (a.npz).\n'),
    (PermissionError(errno.EACCES, 'Permission denied', 'b'), 2, 'script.py: Permission denied (b).\n'),
    (KeyboardInterrupt(), 130, 'script.py: stopped.\n'),
    (UserError('named \x1b[2J\a by a\nfile' + '.' * 100_000), 2, None),
])
def test_what_the_user_causes(script, error, status, sentence):
    def main():
        print('so far')
        raise error

    found, out, err = script(main)
    assert (found, out) == (status, 'so far\n')
    if sentence is None:
        assert err.startswith('script.py: named ?[2J? by a file...')
        assert len(err) < 3000
    else:
        assert err == sentence


@pytest.mark.parametrize('error', [ValueError('a bug'), KeyError('a bug'), OSError('a bug: neither number nor file')])
def test_bugs_keep_their_traceback(script, error):
    def main():
        raise error

    with pytest.raises(type(error), match='a bug'):
        script(main)


@pytest.mark.parametrize('status', [0, 1, 2, 3])
def test_a_script_s_own_status_stands(script, status):
    assert script(lambda: sys.exit(status))[0] == status
    assert script(lambda: None) == (0, '', '')


def run_outside(body, **options):
    code = f'import sys\nfrom common.errors import UserError, run_script\ndef main():\n    {body}\nrun_script(main)\n'
    buffered = {name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'}
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60,
                          env=buffered, **options)


def test_outside_a_sentence_and_no_traceback():
    done = run_outside("raise UserError('x is not there.')", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (2, '', '-c: x is not there.\n')
    done = run_outside('raise ZeroDivisionError', stdout=subprocess.PIPE)
    assert done.returncode == 1
    assert 'Traceback' in done.stderr


def test_a_reader_that_has_gone():
    """As in `main_gcn.py | head`."""
    read, write = os.pipe()
    os.close(read)
    for body in ("print('lost')", "print('lost'); raise UserError('sentence')", "print('lost', flush=True)"):
        done = run_outside(body, stdout=write)
        assert done.returncode in (1, 2)
        assert 'Traceback' not in done.stderr
        assert 'Broken' not in done.stderr
    os.close(write)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='/dev/full is of Linux')
def test_output_to_a_full_disk():
    with open('/dev/full', 'w') as full:
        done = run_outside("print('lost')", stdout=full)
    assert done.returncode == 2
    assert done.stderr == '-c: No space left on device.\n'


# Words.

def test_listing():
    assert listing([]) == ''
    assert listing('abc') == 'a, b, c'
    assert listing([1, None, ('S1', 'x')]) == "1, None, ('S1', 'x')"
    assert listing(range(12)) == '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11'
    assert listing(range(15)) == '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more'
    assert listing((str(n) for n in range(4)), 3) == '0, 1, 2 and 1 more'
    assert listing(['\x1b[1m', 'x' * 1000]) == f'?[1m, {"x" * 60}...'


def test_printable():
    assert printable('plain é 日') == 'plain é 日'
    assert printable('a\nb\tc') == 'a b c'
    assert printable('\x00\x1b\u202e\ud800') == '????'
    assert printable('x' * 201) == 'x' * 200 + '...'
    assert printable(io.BytesIO) == "<class '_io.BytesIO'>"
