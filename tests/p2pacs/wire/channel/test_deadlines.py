from p2pacs.wire.channel import deadlines


def test_deadlines_leave_room_for_each_other() -> None:
    named = {name: value for name, value in vars(deadlines).items() if name.isupper()}
    assert all(isinstance(value, float) and value > 0 for value in named.values())
    assert min(value for name, value in named.items() if name != "FAREWELL") > deadlines.FAREWELL
    assert deadlines.SEND > deadlines.IDLE + deadlines.ANSWER
    assert deadlines.ENROL > deadlines.HELLO
