"""What targets add to questions, and whose answers others may have."""

from typing import Callable

import harness
import raw
import recorder

NOWAIT = 1 << 29
RUNNING = 1 << 2
EVERY = raw.uint(0) + raw.uint(1)  # machines, and their state

MakeGate = Callable[..., harness.Gate]
MakeRecorder = Callable[[harness.Daemon], recorder.Recorder]


def flags_at(between: recorder.Recorder) -> list[int]:
    """Of the statistics that the daemon was asked for."""
    return [
        int.from_bytes(call.body[-4:], "big")
        for call in between.calls(raw.CONNECT_GET_ALL_DOMAIN_STATS)
    ]


def test_statistics_do_not_wait_where_the_target_says_so(
    daemon: harness.Daemon, make_recorder: MakeRecorder, make_gate: MakeGate
) -> None:
    """libvirt's test driver knows the flag, and has no machine whose lock is held."""
    between = make_recorder(daemon)
    gate = make_gate({"machines": {"uri": between.uri(daemon.file), "stats_nowait": True}})
    with raw.connect(gate.socket, "machines") as one, raw.connect(daemon.unix, daemon.name) as two:
        mine = one.call(raw.CONNECT_GET_ALL_DOMAIN_STATS, EVERY + raw.uint(0))
        assert mine == two.call(raw.CONNECT_GET_ALL_DOMAIN_STATS, EVERY + raw.uint(0))
        assert flags_at(between) == [NOWAIT]
        one.call(raw.CONNECT_GET_ALL_DOMAIN_STATS, EVERY + raw.uint(RUNNING))
        one.call(raw.CONNECT_GET_ALL_DOMAIN_STATS, EVERY + raw.uint(NOWAIT))
        assert flags_at(between) == [NOWAIT, RUNNING | NOWAIT, NOWAIT]


def test_an_answer_is_for_others_too_while_it_is_young(
    daemon: harness.Daemon, make_recorder: MakeRecorder, make_gate: MakeGate
) -> None:
    between = make_recorder(daemon)
    gate = make_gate({"machines": {"uri": between.uri(daemon.file), "max_age": "5min"}})
    nobody = raw.string("nobody")
    asked = raw.CONNECT_GET_ALL_DOMAIN_STATS
    with raw.connect(gate.socket, "machines") as one, raw.connect(gate.socket, "machines") as two:
        first = one.call(asked, EVERY + raw.uint(0))
        assert two.call(asked, EVERY + raw.uint(0)) == first
        assert len(between.calls(asked)) == 1
        # Both have had it, so what they ask now is asked.
        one.call(asked, EVERY + raw.uint(0))
        assert len(between.calls(asked)) == 2
        two.call(asked, EVERY + raw.uint(0))
        assert len(between.calls(asked)) == 2
        # What fails is nobody else's answer.
        for client in (one, two):
            assert client.ask(raw.DOMAIN_LOOKUP_BY_NAME, nobody).status == raw.ERROR
        assert len(between.calls(raw.DOMAIN_LOOKUP_BY_NAME)) == 2
