"""Serial link against a model of the device: every word once and in order, every access once,
whatever is lost on the line; and what is said when nothing can be done."""

import builtins
import errno
import os
import pty
import select
import threading

import numpy as np
import pytest

from spec.errors import UserError
from spec.frames import MOST_WORDS, Kind
from sw.host.port import PortError
from sw.host.shell.link import AccessError, Link
from sw.host.shell.serial import SerialLink, _why_closed, open_serial
from tests.sw.host.shell.model import REFUSES_FROM, ModelDevice

pytestmark = pytest.mark.unit


class Echo(ModelDevice):
    """Gives every word back that it takes, a few of them whenever it is spoken to; lossy."""

    def __init__(self, queue_words: int = 512, pace: int = 10_000, loss: float = 0, rng=None):
        super().__init__(queue_words)
        self.pace, self.loss, self.rng = pace, loss, rng
        self.taken: list[tuple[int, bool]] = []

    def work(self) -> None:
        for _ in range(self.pace):
            if not self.arriving or len(self.leaving) == self.queue_words:
                return
            self.taken.append(self.arriving.popleft())
            self.leaving.append(self.taken[-1][0])

    def write(self, data: bytes) -> int:
        super().write(self._spoil(data))
        return len(data)

    def read(self, size: int) -> bytes:
        return self._spoil(super().read(size))

    def _spoil(self, data: bytes) -> bytes:
        """Some bytes flip, and some are lost."""
        found = bytearray()
        for byte in data:
            if self.loss and self.rng.random() < self.loss:
                if self.rng.random() < 0.5:
                    found.append(byte ^ 1 << int(self.rng.integers(8)))
            else:
                found.append(byte)
        return bytes(found)


def link_to(device: ModelDevice, **options) -> SerialLink:
    return SerialLink(device, 3e6, **{"polls": 50, **options})


def words_of(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(1 << 32, size=count, dtype=np.uint64).astype(np.uint32)


def test_it_is_a_link():
    assert isinstance(link_to(ModelDevice()), Link)


def test_registers_keep_what_is_written(rng):
    link = link_to(ModelDevice())
    words = {4 * at: int(rng.integers(1 << 32)) for at in range(300)}
    for address, word in words.items():
        link.write32(address, word)
    assert {address: link.read32(address) for address in words} == words
    assert link.lost == 0


def test_a_refused_access_is_told():
    link = link_to(ModelDevice())
    for call in (lambda: link.read32(REFUSES_FROM), lambda: link.write32(REFUSES_FROM, 1)):
        with pytest.raises(AccessError, match="an access to 0x800 failed"):
            call()


@pytest.mark.parametrize("queue_words", [1, 8, 512])
@pytest.mark.parametrize("pace", [1, 10_000])
def test_all_words_come_back(rng, queue_words, pace):
    """More than the queues hold, in messages of any size."""
    device = Echo(queue_words, pace)
    link = link_to(device)
    messages = [words_of(rng, size) for size in (1, 7, MOST_WORDS, MOST_WORDS + 1, 700)]
    for message in messages:
        link.send(message)
    found = link.receive(sum(map(len, messages)))
    assert (found == np.concatenate(messages)).all()
    assert found.dtype == np.uint32
    ends = np.cumsum([len(message) for message in messages]) - 1
    assert [at for at, (_, last) in enumerate(device.taken) if last] == ends.tolist()


def test_words_go_on_while_registers_are_read(rng):
    """As a run needs that takes more words, and gives more, than the queues hold."""
    device = Echo(8, pace=3)
    link = link_to(device)
    words = words_of(rng, 100)
    link.send(words)
    for _ in range(100):
        link.read32(0)
    assert len(device.taken) == 100
    assert (link.receive(100) == words).all()


def test_frames_are_few_when_there_is_room(rng):
    """One question for the room, and a frame for every 254 words."""
    device = Echo(2 * MOST_WORDS)
    link = link_to(device)
    device.asked.clear()
    link.send(words_of(rng, 4 * MOST_WORDS))
    assert device.asked == [Kind.SEND] * 5
    assert link.lost == 0


@pytest.mark.parametrize("loss", [0.001, 0.01])
def test_nothing_is_lost_or_done_twice_on_a_bad_line(rng, loss):
    device = Echo(64, loss=loss, rng=rng)
    link = link_to(device, tries=200)
    sent, written = [], []
    for _ in range(60):
        word = int(rng.integers(1 << 32))
        link.write32(4, word)
        written.append((4, word))
        assert link.read32(4) == word
        sent.append(words_of(rng, int(rng.integers(1, 40))))
        link.send(sent[-1])
        assert (link.receive(len(sent[-1])) == sent[-1]).all()
    assert device.writes == written
    assert [word for word, _ in device.taken] == np.concatenate(sent).tolist()
    assert link.lost > 0


def test_late_answers_are_not_taken_for_others(rng):
    """The host asks again, and then both answers come, when it wants to know something else."""

    class Late(ModelDevice):
        reads = 0

        def read(self, size: int) -> bytes:
            self.reads += 1
            return b"" if self.reads % 3 == 2 else super().read(size)

    device = Late()
    link = link_to(device)
    words = {4 * at: int(word) for at, word in enumerate(rng.integers(1 << 32, size=50))}
    for address, word in words.items():
        link.write32(address, word)
    assert {address: link.read32(address) for address in words} == words
    assert device.writes == list(words.items())
    assert link.lost > 20


def test_drop_forgets_words_of_both_directions(rng):
    device = Echo(8, pace=0)
    link = link_to(device)
    device.leaving.extend([1, 2, 3])
    link.read32(0)
    link.send(words_of(rng, 100))
    link.drop()
    device.pace = 100
    link.read32(0)
    assert len(device.taken) == 8
    device.leaving.clear()
    link.drop()
    link.send(np.array([9], np.uint32))
    assert link.receive(1).tolist() == [9]


def test_a_device_that_was_reset_is_found_out():
    device = ModelDevice()
    link = link_to(device)
    device.power_up()
    with pytest.raises(PortError, match="the device on the serial port at 3e"):
        link.read32(0)
    link.write32(4, 7)
    assert link.read32(4) == 7


def test_what_goes_silent_is_told():
    device = Echo()
    link = link_to(device, name="ttyX", tries=3)
    device.pace = 0
    device.loss, device.rng = 1.0, np.random.default_rng(1)
    with pytest.raises(PortError, match="the device on ttyX at 3e.06 baud does not answer any mo"):
        link.read32(0)
    assert link.lost == 6


def test_words_that_never_come_are_told():
    link = link_to(ModelDevice(), polls=5)
    with pytest.raises(PortError, match="3 words are waited for on the serial port .* 0 came"):
        link.receive(3)


def test_a_line_that_never_ends_is_no_answer():
    class Babble(ModelDevice):
        def read(self, size: int) -> bytes:
            return b"?" * size

    with pytest.raises(PortError, match="no Skipstone answers"):
        link_to(Babble())


def test_a_port_that_goes_away_is_told():
    class Gone(ModelDevice):
        gone = False

        def read(self, size: int) -> bytes:
            if self.gone:
                raise OSError(errno.EIO, "device disconnected")
            return super().read(size)

    device = Gone()
    link = link_to(device)
    device.gone = True
    with pytest.raises(PortError, match=r"the serial port at 3e.06 baud: .* device disconnected"):
        link.read32(0)
    link.close()
    assert device.closed == 1


def test_the_time_out_fits_the_rate():
    """The longest frame and the longest answer, each byte as two, and some patience."""
    for baud in (9_600, 115_200, 3_000_000):
        device = ModelDevice()
        SerialLink(device, baud, patience=0.5)
        assert device.timeout is not None
        assert 2 * 2_000 * 10 / baud < device.timeout - 0.5 < 2 * 2_100 * 10 / baud


# Ports ----------------------------------------------------------------------------------------


def test_no_such_port():
    with pytest.raises(UserError, match="there is no port /dev/no-such-port; there are: "):
        open_serial("/dev/no-such-port", 115_200)


def test_what_is_no_serial_port(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match=f"the port {file} cannot be opened at 115200 baud: "):
        open_serial(str(file), 115_200)


def test_a_port_with_a_device(rng):
    """A pseudo-terminal, with the model at its other end."""
    host, device = pty.openpty()
    model, stop = Echo(), threading.Event()

    def serve() -> None:
        while not stop.is_set():
            if select.select([host], [], [], 0.05)[0]:
                model.write(os.read(host, 4096))
                os.write(host, model.read(1 << 20))

    thread = threading.Thread(target=serve)
    try:
        thread.start()
        link = open_serial(os.ttyname(device), 3_000_000)
        assert list(link.tools) == ["pyserial"]
        words = words_of(rng, 1000)
        link.write32(4, 5)
        link.send(words)
        assert link.read32(4) == 5
        assert (link.receive(1000) == words).all()
        link.close()
        link.close()
    finally:
        stop.set()
        thread.join()
        os.close(host)
        os.close(device)


def test_a_port_in_use_and_a_port_without_a_device():
    host, device = pty.openpty()
    try:
        name = os.ttyname(device)
        with pytest.raises(PortError, match=f"no Skipstone answers on {name} at 1e.06 baud"):
            open_serial(name, 1_000_000)
        import serial

        with (
            serial.Serial(name, 1_000_000, exclusive=True),
            pytest.raises(UserError, match=f"the port {name} is in use by another program"),
        ):
            open_serial(name, 1_000_000)
    finally:
        os.close(host)
        os.close(device)


@pytest.mark.parametrize("code", [errno.EACCES])
def test_a_port_of_another_user(code):
    told = _why_closed("/dev/x", 9_600, [], OSError(code, "Permission denied"))
    assert told.startswith("the port /dev/x may not be opened by this user")


def test_without_pyserial_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.partition(".")[0] == "serial":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'skipstone\[boards\]'"):
        open_serial("/dev/ttyUSB0", 115_200)
