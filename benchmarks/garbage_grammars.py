"""What the manuals allow as answers, for the judge of `make accept-garbage`: written from the protocol notes.

Nothing of the drivers is used here. A judge says why a reply is no answer to a question, and what a whole call's
answers come to; where the two disagree with the driver, one of them is wrong.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.garbage_bruker import BRUKER, Listening
from benchmarks.garbage_spoiling import Spoilt, strict

NOTHING: Final = object()
"""A call whose answers come to no value."""


class Forbidden(Exception):
    """A reply that the grammar does not have, or that answers another question."""


@dataclass(frozen=True)
class Judge:
    """One driver's grammar.

    calls      what is called on the driver, by name, each with its weight
    said       (question, delivered bytes) -> what the reply says; raises Forbidden
    value      (name of the call, its last answers by question) -> what the driver must have returned, or NOTHING;
               raises Forbidden where every answer is one and the call must fail all the same
    again      which questions a driver may ask once more, as reading and identifying do
    options    of the simulator, over the rig's own
    key        binary: the question without what differs each time it is asked
    number     binary: where that stands, in request and reply
    values     binary: which bytes of a reply are what was asked for
    passed     questions that belong to the link and not to the call (finding the beat again)
    """

    calls: Mapping[str, tuple[int, Callable[[Any], Awaitable[Any]]]]
    said: Callable[[bytes, bytes], Any]
    value: Callable[[str, Mapping[bytes, Any]], Any]
    again: Callable[[bytes], bool]
    options: Mapping[str, Any] = field(default_factory=dict)
    binary: bool = False
    key: Callable[[bytes], bytes] = lambda question: question[7:]
    number: tuple[int, int] = (0, 2)
    values: Callable[[bytes], range] = lambda reply: range(9, len(reply))
    passed: Callable[[bytes], bool] = lambda question: False


SOON: Final = 4
"""Within so many questions a driver asks again what was answered wrongly, if it does at all."""


def complaint(judge: Judge | Listening, name: str, log: Sequence[Spoilt], returned: Any) -> str:
    """What is wrong with a call that returned this after these replies; "" for nothing."""
    if isinstance(judge, Listening):
        return judge.judged(name, log, returned)
    for place, spoilt in enumerate(log):
        if not spoilt.how or judge.passed(spoilt.question):
            continue
        later = [one for one in log[place + 1 :] if not judge.passed(one.question)][:SOON]
        again = judge.again(spoilt.question) and any(same(judge, one, spoilt) for one in later)
        try:
            judge.said(spoilt.question, spoilt.delivered)
        except Forbidden as error:
            if not again:
                return f"{spoilt.question!r} was answered {spoilt.delivered!r} ({error}), and {name} believed it"
    try:
        said = {key(judge, one.question): judge.said(one.question, one.delivered) for one in log
                if not judge.passed(one.question)}  # fmt: skip
    except Forbidden:
        said = {}
        for one in log:
            try:
                said[key(judge, one.question)] = judge.said(one.question, one.delivered)
            except Forbidden:
                continue
    try:
        expected = judge.value(name, said)
    except Forbidden as error:
        return f"{name} returned {returned!r}, and had to raise: {error}"
    if expected is not NOTHING and expected != returned:
        return f"{name} returned {returned!r}, and its answers say {expected!r}"
    return ""


def key(judge: Judge, question: bytes) -> bytes:
    """The question without what differs each time it is asked."""
    return judge.key(question) if judge.binary else question.strip()


def same(judge: Judge, one: Spoilt, other: Spoilt) -> bool:
    return key(judge, one.question) == key(judge, other.question)


def first_line(delivered: bytes) -> str:
    """The first line that is not empty. Raises Forbidden for one without an end, and for what is no ASCII."""
    found = re.match(rb"[\r\n]*([^\r\n]+)[\r\n]", delivered)
    if found is None:
        raise Forbidden("no whole line")
    try:
        return found[1].decode("ascii").strip()
    except UnicodeDecodeError:
        raise Forbidden("no text") from None


# --- Druck PACE: notes, section d ------------------------------------------------------------------------------------

_NUM = r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_SOUR = r":SOUR(?:CE)?1?:PRES(?:SURE)?"
PACE: Final[Mapping[str, str]] = {
    "*IDN?": r"\*IDN ([^,]+,[^,]+,[^,]+,[^,]+)",
    ":SENS:PRES?": rf":SENS(?:E)?1?:PRES(?:SURE)? {_NUM}",
    ":UNIT:PRES?": r":UNIT:PRES(?:SURE)? (MPA|BAR|MBAR|KPA|PA|HPA|PSI|USER[1-4])",
    ":SOUR:PRES:SLEW:MODE?": rf"{_SOUR}:SLEW:MODE (LIN(?:EAR)?|MAX(?:IMUM)?)",
    ":SOUR:PRES:SLEW:OVER?": rf"{_SOUR}:SLEW:OVER(?:SHOOT)?(?::STAT(?:E)?)? (0|1|OFF|ON)",
    ":SOUR:PRES:SLEW?": rf"{_SOUR}:SLEW {_NUM}",
    ":SOUR:PRES:COMP1?": rf"{_SOUR}:COMP(?:ENSATE)?1? {_NUM}",
    ":SOUR:PRES?": rf"{_SOUR}(?::LEV(?:EL)?)?(?::IMM(?:EDIATE)?)?(?::AMPL(?:ITUDE)?)? {_NUM}",
    ":OUTP:STAT?": r":OUTP(?:UT)?1?(?::STAT(?:E)?)? (0|1|OFF|ON)",
    ":SYST:ERR?": r':SYST(?:EM)?:ERR(?:OR)? ([+-]?\d+)\s*,\s*"[^"]*"',
    ":INST:LIM?": rf":INST(?:RUMENT)?:LIM(?:IT)?1? (?:[^,]*,)?\s*{_NUM}\s*,\s*{_NUM}",
}
_NOT_A_NUMBER: Final = 9.9e37


def _pace_said(question: bytes, delivered: bytes) -> Any:
    asked = question.decode().strip()
    line = re.sub(r"\s+", " ", first_line(delivered), count=1)
    found = re.fullmatch(PACE[asked], line, re.IGNORECASE)
    if found is None:
        raise Forbidden("not as the manual has it")
    if _NUM in PACE[asked]:
        numbers = [float(text) for text in found.groups()]
        if any(abs(number) >= _NOT_A_NUMBER for number in numbers):
            raise Forbidden("no number")
        return numbers[0]
    return found[1]


def _pace_value(name: str, said: Mapping[bytes, Any]) -> Any:
    if name == "read":
        return said.get(b":SENS:PRES?", None)
    if name == "identify":
        return said.get(b"*IDN?", None)
    if said.get(b":SYST:ERR?", "0") not in ("0", "+0", "-0"):
        raise Forbidden("the error queue says that a command was not taken")
    if name == "stop" and said[b":OUTP:STAT?"].upper() not in ("0", "OFF"):
        raise Forbidden("its output says that it is on")
    return NOTHING


async def _value(device: Any) -> float:
    return float((await device.read()).value)


# --- Lake Shore 336: notes, section e --------------------------------------------------------------------------------

LAKE_SHORE: Final[Mapping[str, str]] = {
    "*IDN?": r"LSCI,MODEL33[56],[^,;]+,[^,;]+",
    "KRDG?": r"[+-]\d{3,}\.\d{3}",
    "RDGST?": r"\d{1,3}",
    "RANGE?": r"[0-3]",
    "RAMP?": r"[01],[+-]?\d+(?:\.\d+)?",
    "OUTMODE?": r"[0-5],[0-4],[01]",
    "TLIMIT?": r"[+-]?\d+(?:\.\d+)?",
    "*ESR?": r"\d{3}",
}
_ESR_ERRORS: Final = 32 + 16 + 8 + 4


def _lake_said(question: bytes, delivered: bytes) -> Any:
    queries = [part.split()[0] for part in question.decode().strip().split(";") if "?" in part]
    line = first_line(delivered)
    answers = line.split(";") if len(queries) > 1 else [line]
    if len(answers) != len(queries):
        raise Forbidden(f"{len(answers)} answers to {len(queries)} queries")
    for query, answer in zip(queries, answers, strict=True):
        if re.fullmatch(LAKE_SHORE[query], answer.strip()) is None:
            raise Forbidden(f"{query} {answer!r}")
    return dict(zip(queries, (answer.strip() for answer in answers), strict=True))


def _lake_value(name: str, said: Mapping[bytes, Any]) -> Any:
    if name == "identify":
        return said.get(b"*IDN?", {}).get("*IDN?")
    for answers in said.values():
        if len(answers) > 1 and int(answers.get("*ESR?", "0")) & _ESR_ERRORS:
            raise Forbidden("*ESR? says that something was not understood")
    if name == "read":
        answers = said.get(b"KRDG? A;RDGST? A;*ESR?", {})
        if int(answers.get("RDGST?", "1")):
            raise Forbidden("the sensor's status says that it can't be believed")
        return float(answers["KRDG?"])
    return NOTHING


# --- Modbus: notes, section h ----------------------------------------------------------------------------------------


def _modbus_said(question: bytes, delivered: bytes) -> Any:
    if len(delivered) < 9:
        raise Forbidden("no whole frame")
    length = int.from_bytes(delivered[4:6], "big")
    if delivered[:4] != question[:4] or delivered[6] != question[6]:
        raise Forbidden("another transaction, protocol or unit")
    pdu = delivered[7 : 6 + length]
    if len(pdu) != length - 1:
        raise Forbidden("cut")
    function, asked = question[7], question[8:]
    if pdu[0] != function:
        raise Forbidden("another function, or an exception")
    if function in (5, 6):
        if pdu[1:] != asked:
            raise Forbidden("the echo differs")
        return pdu[1:]
    if function in (15, 16):
        if pdu[1:] != asked[:4]:
            raise Forbidden("address or count differ")
        return pdu[1:]
    count = int.from_bytes(asked[2:4], "big")
    size = (count + 7) // 8 if function in (1, 2) else 2 * count
    if pdu[1] != size or len(pdu) != 2 + size:
        raise Forbidden("another count")
    if function in (1, 2):
        return [bool(pdu[2 + bit // 8] >> bit % 8 & 1) for bit in range(count)]
    registers = [int.from_bytes(pdu[2 + 2 * at : 4 + 2 * at], "big") for at in range(count)]
    if function == 4 and registers[0] > 3:
        raise Forbidden("no state of the map")
    return registers


def _modbus_value(name: str, said: Mapping[bytes, Any]) -> Any:
    bits = next((said[key] for key in said if key[0] == 2), None)
    registers = next((said[key] for key in said if key[0] == 4), None)
    if name == "identify":
        return None if registers is None else (
            f"modbus interlock, state {('safe', 'ready', 'exposing', 'fault')[registers[0]]}, uptime {registers[5]}"
        )  # fmt: skip
    if name != "status":
        return NOTHING
    if bits is None or registers is None:
        return None
    sound = (bits[0] == bits[1] and bits[2] and bits[3] and bits[6] and not (bits[4] and bits[5])
             and not registers[1] & 0x3FF and registers[0] != 3)  # fmt: skip
    return (bits[4] and not bits[5], bits[5] and not bits[4], bits[0] and bits[1], sound)


async def _status(device: Any) -> tuple[bool, bool, bool, bool]:
    status = await device.status()
    return status.shutter_open, status.shutter_closed, status.door_closed, status.ready


# --- SIMPLON: notes, section a ---------------------------------------------------------------------------------------

_TEXT, _REAL, _WHOLE, _FLAG = (str,), (int, float), (int,), (bool,)
KEYS: Final[Mapping[str, tuple[type, ...]]] = {
    "description": _TEXT, "detector_number": _TEXT, "software_version": _TEXT, "sensor_material": _TEXT,
    "sensor_thickness": _REAL, "x_pixel_size": _REAL, "y_pixel_size": _REAL, "bit_depth_image": _REAL,
    "photon_energy": _REAL, "threshold/1/energy": _REAL, "threshold/1/mode": _TEXT, "threshold/2/mode": _TEXT,
    "threshold/difference/mode": _TEXT, "detector_readout_time": _REAL, "count_time": _REAL, "frame_time": _REAL,
    "nimages": _WHOLE, "ntrigger": _WHOLE, "counting_mode": _TEXT, "trigger_mode": _TEXT, "trigger_start_delay": _REAL,
    "compression": _TEXT, "roi_mode": _TEXT, "test_image_mode": _TEXT, "auto_summation": _FLAG,
    "countrate_correction_applied": _FLAG, "flatfield_correction_applied": _FLAG, "pixel_mask_applied": _FLAG,
    "mask_to_zero": _FLAG, "virtual_pixel_correction_applied": _FLAG, "nexpi": _WHOLE, "header_appendix": _TEXT,
    "image_appendix": _TEXT, "countrate_correction_count_cutoff": _REAL, "version": _TEXT,
    "x_pixels_in_detector": _WHOLE, "y_pixels_in_detector": _WHOLE, "format": _TEXT,
    "header_detail": _TEXT, "mode": _TEXT, "state": _TEXT, "high_voltage/state": _TEXT, "pixel_mask": (dict,),
}  # fmt: skip
# Another model's keys: here the status says 404, and the text behind it means nothing.
ABSENT: Final = ("threshold/3/mode", "threshold/4/mode")
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "stream status/state": ("disabled", "ready", "acquire", "error"),
    "detector status/state": ("na", "ready", "initialize", "configure", "acquire", "idle", "test", "error"),
    "detector status/high_voltage/state": ("NA", "OFF", "RAMPING", "READY"),
}


def _simplon_said(question: bytes, delivered: bytes) -> Any:
    method, _, path = question.decode().partition(" ")
    module, task, name = "detector", "api", "version"
    if not path.endswith("/api/version"):
        module = path.split("/")[1]
        task, _, name = path.split("/", 4)[4].partition("/")
    try:
        content = strict(delivered) if delivered.strip() else None
    except ValueError as error:
        if name in ABSENT:
            return None
        raise Forbidden(f"no JSON: {error}") from None
    if method == "PUT" and task == "command":
        if name in ("arm", "disarm", "abort", "cancel"):
            number = content.get("sequence id", content.get("sequence_id")) if isinstance(content, dict) else None
            if type(number) is not int or number < 0:
                raise Forbidden("no sequence id")
            return number
        return None
    if method == "PUT":
        if name in ABSENT:
            return None
        if not (isinstance(content, list) and all(isinstance(item, str) for item in content)):
            raise Forbidden("no list of keys")
        return None
    if not isinstance(content, dict) or "value" not in content:
        raise Forbidden("no value")
    value = content["value"]
    if type(value) not in KEYS[name]:
        raise Forbidden(f"{name} is no {type(value).__name__}")
    if value not in WORDS.get(f"{module} {task}/{name}", (value,)):
        raise Forbidden(f"{value!r} is no {name}")
    return value


def _simplon_value(name: str, said: Mapping[bytes, Any]) -> Any:
    last = {key.decode().rpartition("/")[2]: value for key, value in said.items()}
    if name == "identify":
        parts = [last.get(word) for word in ("description", "detector_number", "software_version")]
        return None if None in parts else " ".join(parts)
    return last["arm"] if name == "arm" else NOTHING


async def _arm(device: Any) -> int:
    return int((await device.arm(0.1, 1)).series)


# --- Keithley 6485/6487: notes, section g ----------------------------------------------------------------------------

_EXACT: Final = r"([+-]\d\.\d{6}E[+-]\d\d)"
KEITHLEY: Final[Mapping[str, str]] = {
    "READ?": rf"{_EXACT}A, ?{_EXACT}, ?{_EXACT}",
    "*IDN?": r"KEITHLEY INSTRUMENTS INC\., ?MODEL 648[57],[^,;]+,[^,;]+",
    "SYST:ERR?": r'([+-]?\d{1,4})\s*,\s*"[^"]*"',
    "*OPC?": "1",
    "CURR:NPLC?": _NUM,
    "CURR:RANG?": _NUM,
    "SYST:ZCH?": "[01]",
    "SYST:ZCOR?": "[01]",
    "SOUR:VOLT:STAT?": "[01]",
}
_RANGE_A, _NO_READING = 2e-6, 1 + 4 + 8 + 128 + 512  # overflow, math, relative, overvoltage, zero check


def _keithley_said(question: bytes, delivered: bytes) -> Any:
    line = first_line(delivered)
    found = re.fullmatch(KEITHLEY.get(question.decode().strip(), "(?!)"), line)
    if found is None:
        raise Forbidden("not as the manual has it")
    if question.startswith(b"READ?"):
        ampere, seconds, status = (float(text) for text in found.groups())
        if not 0 <= seconds <= 1e5 or status not in range(1 << 16):
            raise Forbidden("no time, or no status")
        return ampere, int(status)
    if question.startswith(b"CURR") and abs(float(found[1])) >= _NOT_A_NUMBER:
        raise Forbidden("no number")
    return line if question.startswith(b"*IDN?") or not found.groups() else found[1]


def _keithley_value(name: str, said: Mapping[bytes, Any]) -> Any:
    if name == "identify":
        return said.get(b"*IDN?")
    if name == "read":
        ampere, status = said[b"READ?"]
        if status & _NO_READING or (status & 16 and status & 96) or abs(ampere) > 1.05 * _RANGE_A:
            raise Forbidden(f"status {status} and {ampere} A: this is no reading on its range")
        return ampere
    if int(said.get(b"SYST:ERR?", "0")):
        raise Forbidden("the error queue says that a command was not taken")
    if name == "make_safe" and said[b"SOUR:VOLT:STAT?"] != "0":
        raise Forbidden("its voltage source says that it is on")
    if name == "connect" and (said[b"SYST:ZCH?"] != "0" or said[b"SYST:ZCOR?"] != "1"):
        raise Forbidden("zero check is on, or zero correct off")
    return NOTHING


# --- Spellman, family XRV on TCP: notes, section f --------------------------------------------------------------------

_DAC = r"\d{1,4}"
XRV: Final[Mapping[str, str]] = {
    "14": _DAC, "15": _DAC,
    "19": ",".join([_DAC] * 8),
    "22": ",".join(["[01]"] * 17),
    "26": r"(?=.*[^ ,])[^\x00-\x1f\x7f]+",
    "28": r"\d{1,4}(?:\.\d+)?,\d{1,4}(?:\.\d+)?,[01]",
    "68": ",".join(["[01]"] * 27),
}  # fmt: skip
"""What stands between a reply's number and its last comma; every other command is answered with $."""


def _xrv_said(question: bytes, delivered: bytes) -> Any:
    asked = question[1:-1].decode().partition(",")[0]
    frame = re.match(rb"\x02([\x20-\x7e]*),\x03", delivered)
    if frame is None:
        raise Forbidden("no whole frame")
    number, _, rest = frame[1].decode("ascii").partition(",")
    if re.fullmatch(r"\d+", number) is None or int(number) != int(asked):
        raise Forbidden("another command's number")
    if re.fullmatch(XRV.get(asked, r"\$"), rest) is None:
        raise Forbidden("not as the manual has it")
    if asked in ("14", "15", "19") and any(int(count) > 4095 for count in rest.split(",")):
        raise Forbidden("more than 12 bits")
    return rest


def _xrv_value(name: str, said: Mapping[bytes, Any]) -> Any:
    words = {key[1:-1].decode(): value for key, value in said.items()}
    counts = [int(count) for count in words.get("19,", "0,0").split(",")[:2]]
    flags = words.get("22,")
    if 4095 in counts:
        raise Forbidden("a monitor at the end of its converter")
    if flags is not None:
        on, fault, imminent = (flags.split(",")[at] == "1" for at in (0, 4, 8))
        if name == "stop" and (on or imminent):
            raise Forbidden("told off, its last status says that it is on")
        if name == "raised" and (not on or fault):
            raise Forbidden("told to come on, its last status says that it is off, or a fault")
    if name == "read":
        return round(counts[0] * 1.2 * 160.0 / 4095, 9) if "19," in words else None
    if name == "identify":
        return f"spellman xrv {words['26,']}" if "26," in words else None
    return NOTHING


async def _tube_kv(device: Any) -> float:
    return round((await device.read()).value, 9)


async def _tube_raised(device: Any) -> None:
    await device.hv(True)
    await device.set(40.0)


def _xrv_beat(question: bytes) -> bool:
    """ETX alone, and the pair that finds the beat on a serial line; in memory the line is made anew instead."""
    return question == b"\x03"


# --- Ocean HDX: notes, section i --------------------------------------------------------------------------------------

HDX_SIZES: Final[Mapping[int, range]] = {
    0x100: range(1, 9), 0x101: range(1, 2), 0xE01: range(2, 3), 0x00180100: range(1, 2), 0x00180101: range(4, 5),
    0x00420004: range(4, 5), 0x00101000: range(4136, 4137), 0x00110010: range(1), 0x00110110: range(1),
    0x00110410: range(1), 0x00120010: range(1), 0x00121010: range(1),
}  # fmt: skip
_HDX_MAY_LACK: Final = (0x00420004, 0x00120010, 0x00121010)


def _hdx_said(question: bytes, delivered: bytes) -> Any:
    kind = int.from_bytes(question[8:12], "little")
    if len(delivered) < 64 or delivered[:4] != b"\xc1\xc0\x00\x11":
        raise Forbidden("no message")
    flags, error = delivered[4] | delivered[5] << 8, delivered[6] | delivered[7] << 8
    inside, remaining = delivered[23], int.from_bytes(delivered[40:44], "little")
    whole = delivered[: 44 + remaining]
    if delivered[8:16] != question[8:16]:
        raise Forbidden("another type, or another request's number")
    if remaining < 20 or len(whole) != 44 + remaining or whole[-4:] != b"\xc5\xc4\xc3\xc2":
        raise Forbidden("cut, or no end")
    if flags & 4 or flags > 63 or flags & 10 == 10 or delivered[22] > 1 or inside > 16 or (inside and remaining > 20):
        raise Forbidden("flags, checksum or lengths that no reply has")
    if flags & 24:
        if error in (2, 12) and kind in _HDX_MAY_LACK:
            return None
        raise Forbidden("refused")
    if error or not flags & (2 if question[4] & 4 else 1):
        raise Forbidden("no answer")
    payload = whole[24 : 24 + inside] if inside else whole[44:-20]
    if len(payload) not in HDX_SIZES[kind]:
        raise Forbidden(f"{len(payload)} bytes")
    if delivered[22] == 1 and hashlib.md5(whole[:-20]).digest() != whole[-20:-4]:
        raise Forbidden("the checksum does not fit")
    return payload


def _hdx_value(name: str, said: Mapping[bytes, Any]) -> Any:
    last = {int.from_bytes(key[:4], "little"): value for key, value in said.items()}
    if name in ("identify", "connect") and last.get(0xE01, b"\x03\x20") != b"\x03\x20":
        raise Forbidden("another product")
    if name == "identify":
        serial = last.get(0x100, b"").rstrip(b"\0 ")
        return f"Ocean HDX, serial {serial.decode()}" if serial else None
    if name in ("read", "expose") and last.get(0x00420004) is not None:
        (celsius,) = struct.unpack("<f", last[0x00420004])
        if not -100.0 <= celsius <= 100.0:
            raise Forbidden("no sensor's temperature")
        if name == "read":
            return celsius + 273.15
    return list(struct.unpack("<2068H", last[0x00101000])) if name == "expose" else NOTHING


async def _counts(device: Any) -> list[float]:
    found: list[float] = (await device.expose(0.01)).counts.tolist()
    return found


def _found_the_beat(question: bytes) -> bool:
    """Questions of the link, when it finds the beat again: their answers are read until one has the right shape."""
    return not question.strip() or question.startswith(b"*IDN?;")


def _called(name: str, *arguments: Any) -> Callable[[Any], Awaitable[Any]]:
    async def call(device: Any) -> Any:
        return await getattr(device, name)(*arguments)

    return call


JUDGES: Final[Mapping[str, Judge | Listening]] = {
    **BRUKER,
    "druck_pace": Judge(
        {"read": (5, _value), "identify": (1, _called("identify")), "set": (2, _called("set", 10.0)),
         "stop": (1, _called("stop")), "connect": (1, _called("connect"))},
        _pace_said, _pace_value, lambda question: question.startswith((b":SENS:PRES?", b"*IDN?")),
        passed=_found_the_beat,
    ),
    "lakeshore_336": Judge(
        {"read": (5, _value), "identify": (1, _called("identify")), "set": (2, _called("set", 295.0)),
         "stop": (1, _called("stop")), "connect": (1, _called("connect"))},
        _lake_said, _lake_value, lambda question: question.startswith((b"KRDG?", b"*IDN?")), passed=_found_the_beat,
    ),
    "modbus_interlock": Judge(
        {"status": (5, _status), "identify": (1, _called("identify")), "beat": (1, _called("beat")),
         "make_safe": (1, _called("make_safe")), "stop": (1, _called("stop")),
         "close_shutter": (1, _called("close_shutter")), "connect": (1, _called("connect"))},
        _modbus_said, _modbus_value, lambda question: question[7] in (2, 4), binary=True,
    ),
    "dectris_simplon": Judge(
        {"identify": (4, _called("identify")), "arm": (4, _arm), "stop": (1, _called("stop")),
         "disarm": (1, _called("disarm")), "connect": (1, _called("connect"))},
        _simplon_said, _simplon_value, lambda question: question.startswith(b"GET"),
    ),
    "keithley_6487": Judge(
        {"read": (5, _value), "identify": (1, _called("identify")), "stop": (1, _called("stop")),
         "make_safe": (1, _called("make_safe")), "connect": (1, _called("connect"))},
        _keithley_said, _keithley_value, lambda question: question.startswith((b"READ?", b"*IDN?")),
        passed=_found_the_beat,
    ),
    "spellman_xrv": Judge(
        {"read": (5, _tube_kv), "identify": (1, _called("identify")), "raised": (2, _tube_raised),
         "status": (2, _called("status")), "stop": (1, _called("stop")), "connect": (1, _called("connect"))},
        _xrv_said, _xrv_value, lambda question: question[1:4] in (b"19,", b"22,", b"26,", b"68,", b"98,"),
        passed=_xrv_beat,
    ),
    "ocean_hdx": Judge(
        {"read": (4, _value), "identify": (1, _called("identify")), "expose": (4, _counts),
         "light": (1, _called("light", True)), "stop": (1, _called("stop")), "make_safe": (1, _called("make_safe")),
         "connect": (1, _called("connect"))},
        _hdx_said, _hdx_value, lambda question: question[8:12] in (b"\4\0B\0", b"\1\x0e\0\0", b"\1\1\0\0", b"\0\1\0\0"),
        binary=True, key=lambda question: question[8:12] + question[24 : 24 + question[23]], number=(12, 16),
        values=lambda reply: range(24, 24 + reply[23]) if reply[23:24] > b"\0" else range(44, len(reply) - 20),
    ),
}  # fmt: skip
