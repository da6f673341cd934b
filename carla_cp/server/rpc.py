"""The RPC port: msgpack-rpc requests in, answers in CARLA's envelopes out, strictly in the order of arrival."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import msgpack

from carla_cp.server.handlers import RefusedError
from carla_cp.server.maps import MapError
from carla_cp.server.simulation import Simulation
from carla_cp.server.spawning import SpawnError
from carla_cp.server.table import TABLE, Function, Shape
from carla_cp.server.wire import Raw, WireError

_MAX_MESSAGE = 32 << 20  # bytes
_LOG = logging.getLogger("carla_cp.server")


@dataclass(frozen=True, slots=True)
class _Request:
    number: int
    name: str
    arguments: list[Raw]
    unheard: bool  # the client does not wait for the answer


def read_request(message: Raw) -> _Request:
    """The request in a message; raises WireError for anything else. The first parameter is metadata."""
    if not isinstance(message, list) or len(message) != 4:
        raise WireError("not a msgpack-rpc request")
    kind, number, name, parameters = message
    if kind != 0 or not isinstance(number, int) or not isinstance(name, str) or not isinstance(parameters, list):
        raise WireError("not a msgpack-rpc request")
    return _Request(number, name, parameters[1:], parameters[:1] == [[True]])


def answer(simulation: Simulation, request: _Request) -> list[Raw]:
    """The response to a request; whatever is wrong with it becomes an error in the response."""
    function = TABLE.get(request.name)
    if function is None:
        _LOG.warning("unknown function %.80s", request.name)
        return [1, request.number, f"unknown function {request.name:.80}", None]
    if function.arity is not None and len(request.arguments) != function.arity:
        return [1, request.number, f"{request.name} takes {function.arity} arguments", None]
    try:
        return [1, request.number, None, _envelope(function, function.call(simulation, *request.arguments))]
    except (RefusedError, SpawnError, MapError) as error:
        _LOG.log(logging.WARNING if request.unheard else logging.INFO, "%s refused: %s", request.name, error)
        return [1, request.number, None, _refusal(function, str(error))]
    except WireError as error:
        _LOG.warning("%s: bad arguments: %s", request.name, error)
        said = f"{request.name}: {error}"
        if function.shape is Shape.BARE:
            return [1, request.number, said, None]
        return [1, request.number, None, _refusal(function, said)]
    except Exception:  # a fault of ours must not end the server for everybody else
        _LOG.exception("%s failed", request.name)
        return [1, request.number, f"{request.name}: internal error", None]


def _envelope(function: Function, result: Raw) -> Raw:
    if function.shape is Shape.BARE:
        return result
    return [[False]] if function.shape is Shape.VOID else [[1, result]]


def _refusal(function: Function, text: str) -> Raw:
    """What makes the client raise the text."""
    return [[True, [text]]] if function.shape is Shape.VOID else [[0, [text]]]


class RpcServer:
    """Serves any number of clients; `turn` keeps whatever touches the simulation in one line."""

    def __init__(self, simulation: Simulation, turn: asyncio.Lock) -> None:
        self._simulation, self._turn = simulation, turn

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, until it hangs up or sends what is no msgpack-rpc."""
        unpacker = msgpack.Unpacker(max_buffer_size=_MAX_MESSAGE)
        try:
            while data := await reader.read(1 << 16):
                unpacker.feed(data)
                for message in unpacker:
                    await self._handle(read_request(message), writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # hung up, or the server ends
        except (WireError, msgpack.UnpackException, ValueError) as error:
            _LOG.warning("a client sent no msgpack-rpc (%s); hung up", str(error)[:80])
            writer.write(msgpack.packb([1, 0, "not a msgpack-rpc request", None]))
        finally:
            writer.close()

    async def _handle(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        async with self._turn:
            before = self._simulation.frame
            writer.write(msgpack.packb(answer(self._simulation, request)))
            if self._simulation.frame != before:
                await self._sense()
        await writer.drain()

    async def run_free(self) -> None:
        """One tick of a world of which no client is in charge."""
        try:
            self._simulation.tick()
        except Exception:  # a fault of ours must not end the server for everybody
            _LOG.exception("a tick failed")
        await self._sense()

    async def _sense(self) -> None:
        """Sends the last tick's sensor messages; between two of them the event loop empties its buffers."""
        try:
            for _ in self._simulation.sense():
                await asyncio.sleep(0)
        except Exception:  # nor hang up on the client that ticked
            _LOG.exception("a sensor failed")
