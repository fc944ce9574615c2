"""What each fault is expected to do to each driver, written before it is run. A cell that is missing here is a failure.

| expected | what must be seen |
|---|---|
| lost     | LinkLost within the deadline, the device is disconnected; once the link is back, the supervisor has it connected and the value is right within 1 s of wire time |
| again    | the reply is refused inside, the question asked once more, the value right, the device connected all the while |
| garbled  | GarbledReply (it goes on being wrong); once the fault is over the next value is right |
| refused  | Refused, in a sentence that names the difference; once the fault is over the next value is right |
| unmoved  | NotReached once ramp time and margin are over: told to go, it does not seem to |
| right    | the value is right, this time and the next; nothing is noticed because nothing is wrong with it |
| as told  | the value is wrong and nothing in the reply says so: a second instrument must (gauge, load curve, plausibility) |
| missing  | stream: the series is counted, and the lost image is named |
| kept     | stream: the image is on disk as it came, its hash is not the truth's |
| complete | stream: every image is on disk, the series is closed once |
"""  # noqa: E501

from __future__ import annotations

from typing import Final

_BRUKER: Final = {  # three sockets with the same fault at once: a question goes out on one, its result comes on another
    "silence": "lost",
    "delay": "lost",
    "garbage": "again",
    "truncated": "lost",  # a message without its bracket never ends
    "stale": "again",  # the answer names the verb that it answers
    "doubled": "right",  # what nobody asked for is heard, and answers nothing
    "stuck": "lost",  # the status socket repeats one message: what was asked for never comes
    "nan": "garbled",
    "overflow": "garbled",
    "drift": "as told",
    "wrong_unit": "garbled",
    "dropped": "lost",
    "half_open": "lost",
    "refused": "lost",
    "reboot": "lost",
}

TABLE: Final[dict[str, dict[str, str]]] = {
    "bruker_bis omega": _BRUKER | {"wrong_unit": "as told"},  # 286 deg is an angle that an axis with a full turn has
    "bruker_bis kv": _BRUKER,  # volts for kilovolts are far beyond the tube
    "bruker_bis temperature": _BRUKER,  # told in two scales, which then contradict each other
    "bruker_bis shutter": _BRUKER | dict.fromkeys(("nan", "overflow", "drift", "wrong_unit"), "right"),  # no quantities
    "druck_pace": {
        "silence": "lost",
        "delay": "lost",
        "garbage": "again",
        "truncated": "lost",  # the line never ends
        "stale": "again",  # another question's header
        "doubled": "right",
        "stuck": "unmoved",
        "nan": "garbled",
        "overflow": "garbled",
        "drift": "as told",
        "wrong_unit": "garbled",  # mbar for bar is beyond the instrument's own range
        "dropped": "lost",
        "half_open": "lost",
        "refused": "lost",
        "reboot": "lost",
    },
    "lakeshore_336": {
        "silence": "lost",
        "delay": "lost",
        "garbage": "again",
        "truncated": "lost",
        "stale": "again",
        "doubled": "right",
        "stuck": "unmoved",
        "nan": "garbled",
        "overflow": "garbled",
        "drift": "as told",
        "wrong_unit": "as told",  # Rankine for kelvin is a temperature that the sensor could have
        "dropped": "lost",
        "half_open": "lost",
        "refused": "lost",
        "reboot": "lost",
    },
    "modbus_interlock": {
        "silence": "lost",
        "delay": "lost",
        "garbage": "again",
        "truncated": "lost",
        "stale": "again",  # another transaction's number
        "doubled": "again",  # a status is two questions: the copy meets the second, and is the first's
        "stuck": "unmoved",
        "nan": "garbled",  # every register 0xFFFF is no state of an interlock
        "overflow": "garbled",
        "drift": "right",  # the one quantity of the map, the chamber's temperature, decides nothing
        "wrong_unit": "right",
        "dropped": "lost",
        "half_open": "lost",
        "refused": "lost",
        "reboot": "lost",
    },
    "dectris_simplon": {
        "silence": "lost",
        "delay": "lost",
        "garbage": "again",
        "truncated": "again",  # HTTP says where the body ends; what is left is no JSON
        "stale": "as told",  # an answer does not say which key it is of: HTTP's own order is trusted, types are checked
        "doubled": "again",  # two JSON texts in one body are none
        "stuck": "lost",  # "acquire" for ever: the series is not done by its deadline
        "nan": "garbled",  # JSON has no NaN
        "overflow": "garbled",
        "drift": "refused",  # what was set reads otherwise
        "wrong_unit": "refused",
        "dropped": "lost",
        "half_open": "lost",
        "refused": "lost",
        "reboot": "lost",
        "stream_lost": "missing",
        "stream_corrupt": "kept",
        "stream_delay": "complete",
        "stream_lost_end": "complete",
        "stream_duplicate_end": "complete",
    },
    "keithley_6487": {
        "silence": "lost",
        "delay": "lost",
        "garbage": "again",
        "truncated": "lost",
        "stale": "again",
        "doubled": "right",
        "stuck": "garbled",  # a reading's time stamp is never the same twice
        "nan": "refused",  # 9.91E37 is its own word for it
        "overflow": "refused",
        "drift": "garbled",  # 5 A a second is beyond the range at once; a slow drift would be as told
        "wrong_unit": "garbled",  # a thousand times as much is beyond the range that was set
        "dropped": "lost",
        "half_open": "lost",
        "refused": "lost",
        "reboot": "lost",
    },
    "spellman_xrv": {
        "silence": "lost",
        "delay": "lost",
        "garbage": "again",
        "truncated": "lost",  # the frame never ends
        "stale": "again",  # another command's number
        "doubled": "right",
        "stuck": "unmoved",
        "nan": "garbled",  # counts have no NaN: a field without a number
        "overflow": "refused",  # 4095, the end of the converter, is no reading
        "drift": "as told",
        "wrong_unit": "refused",  # volts for kilovolts are the end of the converter too
        "dropped": "lost",
        "half_open": "lost",
        "refused": "lost",
        "reboot": "lost",
    },
    "ocean_hdx": {
        "silence": "lost",
        "delay": "lost",
        "garbage": "again",
        "truncated": "lost",  # the header says how much follows, and it does not
        "stale": "again",  # another type, another number
        "doubled": "right",
        "stuck": "garbled",  # the same spectrum twice, to the last bit
        "nan": "garbled",
        "overflow": "garbled",
        "drift": "as told",
        "wrong_unit": "as told",  # a sensor may be as warm as that
        "dropped": "lost",
        "half_open": "lost",
        "refused": "lost",
        "reboot": "lost",
    },
}
