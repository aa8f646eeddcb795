"""Signals: the first waits for a checkpoint where one can be made, the second does not."""

import signal
import threading

import pytest

from idol_model.stopping import Stopping, TrainingInterrupted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_in_a_loop_the_first_signal_is_noticed_and_the_second_ends_it(number: signal.Signals, code: int) -> None:
    said, heard = [], threading.Event()

    def say(line: str) -> None:
        said.append(line)
        heard.set()

    stopping, before = Stopping(say), signal.getsignal(number)
    with pytest.raises(TrainingInterrupted) as caught, stopping.handled(), stopping.deferred():
        signal.raise_signal(number)
        assert (stopping.asked, stopping.at_once) == (True, False)
        assert heard.wait(10)
        signal.raise_signal(signal.SIGINT)
    assert caught.value.exit_code == 130
    assert stopping.at_once
    assert said == ["stopping: this step is finished and saved first; Ctrl-C again ends it at once"]
    assert signal.getsignal(number) is before
    assert stopping.interrupted("x").exit_code == 130
    assert TrainingInterrupted("x", number).exit_code == code


def test_outside_of_a_loop_it_ends_at_once_and_after_one_too() -> None:
    stopping = Stopping(lambda line: None)
    with pytest.raises(TrainingInterrupted, match="the same command continues") as caught, stopping.handled():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.exit_code == 143
    late = Stopping(lambda line: None)
    with pytest.raises(TrainingInterrupted), late.handled(), late.deferred():
        signal.raise_signal(signal.SIGTERM)


def test_what_the_shell_ignores_stays_ignored_and_other_threads_handle_nothing() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopping = Stopping(lambda line: None)
        with stopping.handled(), stopping.deferred():
            signal.raise_signal(signal.SIGINT)
        assert not stopping.asked
    finally:
        signal.signal(signal.SIGINT, before)
    handlers = []

    def elsewhere() -> None:
        with Stopping(lambda line: None).handled():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]
