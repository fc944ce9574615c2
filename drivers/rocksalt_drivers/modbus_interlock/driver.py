"""Shutter, door and interlock chain over Modbus TCP, by the map in README.md.

pymodbus packs and unpacks the messages; the line, its deadline and its dirtiness are the link's. Software is never the
only safety layer: the interlock does what its switches say, whatever is written here.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsRequest,
    WriteMultipleCoilsResponse,
    WriteSingleCoilRequest,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from rocksalt.devices import ByteDevice, Enclosure, EnclosureStatus, GarbledReply, Line, Refused

R = TypeVar("R", bound=ModbusPDU)
COIL_SHUTTER, COIL_RESET = 0, 1
HOLDING_HEARTBEAT, HOLDING_WATCHDOG_MS, HOLDING_MAX_OPEN_S = 0, 1, 2
STATES = ("safe", "ready", "exposing", "fault")
FAULTS = ("the door's two channels disagree", "the door is open", "emergency stop", "search or key missing",
          "the shutter's switches disagree", "no cooling flow", "warning lamp dark", "watchdog ran out",
          "the shutter was asked to open and may not", "the shutter was open too long")  # fmt: skip
EXCEPTIONS = {1: "illegal function", 2: "no such address", 3: "illegal value", 4: "device failure", 6: "busy"}
HEADER, LONGEST = 6, 254
BITS_PER_ITEM = {1: 1, 2: 1, 3: 16, 4: 16}
"""By function: coils and discrete inputs are bits, registers are words."""
DEFAULT_WATCHDOG_MS = 2000


class ModbusInterlock(ByteDevice, Enclosure):
    """Options: `unit` (1), `watchdog_ms` (2000; 0 leaves the register as it is), `max_open_s`."""

    identity = re.compile(r"modbus interlock, state (safe|ready|exposing|fault), uptime \d+")
    deadline_s = 1.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        options = self.settings.options
        self._unit = int(options.get("unit", 1))
        self._watchdog_ms = int(options.get("watchdog_ms", DEFAULT_WATCHDOG_MS))
        self._max_open_s = options.get("max_open_s")
        self._framer = FramerSocket(DecodePDU(is_server=False))
        self._transaction = self._beats = 0

    async def _identify(self) -> str:
        """Modbus has no identity: six registers that make sense are all that can be asked for."""
        async with self.link.exchange() as line:
            state, _, _, _, _, uptime_s = await self._inputs(line)
        return f"modbus interlock, state {state}, uptime {uptime_s}"

    async def _prepare(self) -> None:
        async with self.link.exchange() as line:
            if self._watchdog_ms:
                await self._hold(line, HOLDING_WATCHDOG_MS, self._watchdog_ms)
            if self._max_open_s is not None:
                await self._hold(line, HOLDING_MAX_OPEN_S, int(self._max_open_s))

    async def _status(self) -> EnclosureStatus:
        async with self.link.exchange() as line:
            request = ReadDiscreteInputsRequest(address=0, count=8)
            bits = (await self._ask(line, request, ReadDiscreteInputsResponse)).bits[:8]
            state, faults, *_ = await self._inputs(line)
        door_a, door_b, emergency_ok, searched, is_open, is_closed, cooled, _ = bits
        wrong = [text for bit, text in enumerate(FAULTS) if int(faults) >> bit & 1]
        for sound, text in ((door_a == door_b, FAULTS[0]), (emergency_ok, FAULTS[2]), (searched, FAULTS[3]),
                            (not (is_open and is_closed), FAULTS[4]), (cooled, FAULTS[5])):  # fmt: skip
            if not sound and text not in wrong:
                wrong.append(text)
        if state == "fault" and not wrong:
            wrong.append("a fault that the map does not name")
        return EnclosureStatus(
            shutter_open=is_open and not is_closed,
            shutter_closed=is_closed and not is_open,
            door_closed=door_a and door_b,
            ready=not wrong,
            fault=", ".join(wrong),
        )

    async def _shutter(self, *, open: bool) -> None:
        """Open: lamp, permit and request in one message. Close: the request alone, and the permit stays."""
        async with self.link.exchange() as line:
            if open:
                await self._coils(line, shutter=True, reset=False, permit=True, lamp=True)
            else:
                await self._close_shutter(line)

    async def _beat(self) -> None:
        """Any change of the register counts; the number goes round from 1."""
        self._beats = self._beats % 0xFFFF + 1
        async with self.link.exchange() as line:
            await self._write(line, HOLDING_HEARTBEAT, self._beats)

    async def reset(self) -> None:
        """Clear latched faults whose cause is gone: for a person to call, never for the program. Raises Refused."""
        async with self.link.exchange() as line:
            for on in (True, False):
                request = WriteSingleCoilRequest(address=COIL_RESET, bits=[on])
                await self._ask(line, request, WriteSingleCoilResponse)

    async def _stop(self) -> None:
        async with self.link.exchange(urgent=True) as line:
            await self._close_shutter(line)

    async def _make_safe(self) -> None:
        """Shutter closed, permit withdrawn: one message, nothing read first. The lamp burns on."""
        async with self.link.exchange(urgent=True) as line:
            await self._coils(line, shutter=False, reset=False, permit=False)

    # the map

    async def _inputs(self, line: Line) -> tuple[str, int, int, int, int, int]:
        request = ReadInputRegistersRequest(address=0, count=6)
        registers = list((await self._ask(line, request, ReadInputRegistersResponse)).registers)
        if len(registers) != request.count or registers[0] >= len(STATES):
            raise GarbledReply(self.name, f"input registers 0 to 5 hold {registers}: no state of an interlock")
        state, faults, cycles_low, cycles_high, chamber, uptime_s = registers
        return STATES[state], faults, cycles_low, cycles_high, chamber, uptime_s

    async def _close_shutter(self, line: Line) -> None:
        request = WriteSingleCoilRequest(address=COIL_SHUTTER, bits=[False])
        answer = await self._ask(line, request, WriteSingleCoilResponse)
        if answer.address != COIL_SHUTTER or any(answer.bits):
            raise GarbledReply(self.name, f"told to close the shutter, it echoes coil {answer.address} {answer.bits}")

    async def _coils(self, line: Line, **wanted: bool) -> None:
        """Coils from 0 in the map's order: shutter, reset, permit, lamp."""
        request = WriteMultipleCoilsRequest(address=COIL_SHUTTER, bits=list(wanted.values()))
        answer = await self._ask(line, request, WriteMultipleCoilsResponse)
        if (answer.address, answer.count) != (COIL_SHUTTER, len(wanted)):
            raise GarbledReply(self.name, f"{len(wanted)} coils written, {answer.count} from {answer.address} echoed")

    async def _write(self, line: Line, register: int, value: int) -> None:
        request = WriteSingleRegisterRequest(address=register, registers=[value])
        answer = await self._ask(line, request, WriteSingleRegisterResponse)
        if (answer.address, list(answer.registers)) != (register, [value]):
            raise GarbledReply(self.name, f"holding register {register} set to {value}, {answer.registers} echoed")

    async def _hold(self, line: Line, register: int, value: int) -> None:
        """Write a setting and believe it when it is read back."""
        writing = WriteMultipleRegistersRequest(address=register, registers=[value])
        answer = await self._ask(line, writing, WriteMultipleRegistersResponse)
        if (answer.address, answer.count) != (register, 1):
            raise GarbledReply(self.name, f"register {register} written, {answer.count} from {answer.address} echoed")
        reading = ReadHoldingRegistersRequest(address=register, count=1)
        found = list((await self._ask(line, reading, ReadHoldingRegistersResponse)).registers)
        if found != [value]:
            raise Refused(self.name, f"holding register {register} was set to {value}, and holds {found}")

    async def _ask(self, line: Line, request: ModbusPDU, expected: type[R]) -> R:
        """One transaction. Raises Refused naming the exception, GarbledReply for anything that is not its answer."""
        self._transaction = self._transaction % 0xFFFF + 1
        request.transaction_id, request.dev_id = self._transaction, self._unit
        what = f"{type(request).__name__} {request.address}"
        await line.send(self._framer.buildFrame(request))
        header = await line.read_exactly(HEADER, what=what)
        length = int.from_bytes(header[4:6], "big")
        if header[2:4] != b"\0\0" or not 2 < length <= LONGEST:
            raise GarbledReply(self.name, f"{what} was answered with {header.hex(' ')}, which is no Modbus header")
        frame = header + await line.read_exactly(length, what=what)
        _, unit, transaction, body = self._framer.decode(frame)
        if (unit, transaction) != (self._unit, self._transaction):
            raise GarbledReply(
                self.name,
                f"{what} was transaction {self._transaction} of unit {self._unit}; the answer is to "
                f"transaction {transaction} of unit {unit}",
            )
        answer = self._framer.decoder.decode(body)
        if isinstance(answer, ExceptionResponse) and body[0] == request.function_code | 0x80:
            code = answer.exception_code
            raise Refused(self.name, f"{what}: exception {code} ({EXCEPTIONS.get(code, 'not in the standard')})")
        if not isinstance(answer, expected):
            raise GarbledReply(self.name, f"{what} was answered with {body.hex(' ')}, which answers something else")
        if request.function_code in BITS_PER_ITEM:
            size = (request.count * BITS_PER_ITEM[request.function_code] + 7) // 8
            if (body[1], len(body)) != (size, 2 + size):  # the library takes what there is
                raise GarbledReply(self.name, f"{what} was answered with {body.hex(' ')}, not {size} bytes of values")
        return answer
