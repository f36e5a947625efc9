# Types of XAsyncSockets.py, for editors and type checkers. Put it next to the library; no interpreter reads it.
import ssl
from collections.abc import Callable
from socket import socket as _Socket
from typing import Any, Protocol, TypeVar

from typing_extensions import Buffer, Self

__version__: str

_T = TypeVar('_T')
_Address = tuple[str, int]
_Event = Callable[[_T], object] | None

def perf_counter() -> float: ...

class XAsyncSocketsPoolException(Exception): ...
class XAsyncSocketException(Exception): ...
class XAsyncTCPServerException(Exception): ...
class XAsyncTCPClientException(Exception): ...
class XAsyncUDPDatagramException(Exception): ...
class XFiFoException(Exception): ...

class XFiFo:
    def __init__(self) -> None: ...
    def Put(self, obj: Any) -> None: ...
    def Get(self) -> Any: ...
    def Clear(self) -> None: ...
    @property
    def Empty(self) -> bool: ...

class XBufferSlot:
    Size: int
    def __init__(self, size: int, keepAlloc: bool = True) -> None: ...
    @property
    def Available(self) -> bool: ...
    @Available.setter
    def Available(self, value: bool) -> None: ...
    @property
    def Buffer(self) -> memoryview: ...

class XBufferSlots:
    SlotsCount: int
    SlotsSize: int
    def __init__(self, slotsCount: int, slotsSize: int, keepAlloc: bool = True) -> None: ...
    def GetAvailableSlot(self) -> XBufferSlot | None: ...
    @property
    def Slots(self) -> list[XBufferSlot]: ...

class XTimer:
    def __init__(
        self,
        pool: XAsyncSocketsPool,
        handler: Callable[[_T], object],
        arg: _T = ...,
        socket: XAsyncSocket | None = None,
    ) -> None: ...
    def Cancel(self) -> bool: ...
    def Restart(self, delaySec: float) -> None: ...

class XClosedReason:
    Error: int
    ClosedByHost: int
    ClosedByPeer: int
    Timeout: int
    @staticmethod
    def Name(reason: int) -> str: ...

# What a socket asks of its pool: XAsyncSocketsPool, or a pool of one's own.
class _Pool(Protocol):
    def AddAsyncSocket(self, asyncSocket: Any, /) -> bool: ...
    def RemoveAsyncSocket(self, asyncSocket: Any, /) -> bool: ...
    def NotifyNextReadyForReading(self, asyncSocket: Any, notify: bool, /) -> Any: ...
    def NotifyNextReadyForWriting(self, asyncSocket: Any, notify: bool, /) -> Any: ...

class XAsyncSocketsPool:
    OnException: Callable[[XAsyncSocket | None, Exception], object] | None
    WaitEventsProcessing: bool
    def __init__(self) -> None: ...
    def GetAllAsyncSockets(self) -> list[XAsyncSocket]: ...
    def GetAsyncSocketByID(self, id: int) -> XAsyncSocket | None: ...
    def CallLater(self, delaySec: float, handler: Callable[[_T], object], arg: _T = ...) -> XTimer: ...
    def AsyncWaitEvents(self, threadsCount: int = 0) -> None: ...
    def StopWaitEvents(self) -> None: ...
    def PollEvents(self, timeoutMs: int = 0) -> int: ...
    def AddAsyncSocket(self, asyncSocket: XAsyncSocket) -> bool: ...
    def RemoveAsyncSocket(self, asyncSocket: XAsyncSocket) -> bool: ...
    def NotifyNextReadyForReading(self, asyncSocket: XAsyncSocket, notify: bool) -> None: ...
    def NotifyNextReadyForWriting(self, asyncSocket: XAsyncSocket, notify: bool) -> None: ...

class XAsyncSocket:
    SocketID: int | None
    State: Any
    OnClosed: Callable[[Self, int], object] | Callable[[int], object] | None
    ExpireTimeSec: float | None
    def __init__(
        self,
        asyncSocketsPool: _Pool,
        socket: _Socket,
        recvBufSlot: XBufferSlot | None = None,
        sendBufSlot: XBufferSlot | None = None,
    ) -> None: ...
    def GetAsyncSocketsPool(self) -> XAsyncSocketsPool: ...
    def GetSocketObj(self) -> _Socket: ...
    def Close(self) -> bool: ...
    def OnReadyForReading(self) -> bool | None: ...
    def OnReadyForWriting(self) -> bool | None: ...
    def OnExceptionalCondition(self) -> bool | None: ...

class XAsyncTCPServer(XAsyncSocket):
    SrvAddr: _Address
    OnClientAccepted: Callable[[XAsyncTCPServer, XAsyncTCPClient], object] | None
    @staticmethod
    def Create(
        asyncSocketsPool: _Pool,
        srvAddr: _Address,
        srvBacklog: int = 256,
        recvBufSlots: XBufferSlots | None = None,
        bufSlots: XBufferSlots | None = None,
    ) -> XAsyncTCPServer: ...
    def __init__(
        self, asyncSocketsPool: _Pool, srvSocket: _Socket, srvAddr: _Address, bufSlots: XBufferSlots
    ) -> None: ...

class XAsyncTCPClient(XAsyncSocket):
    SendQueueLimit: int
    LingerSec: float
    HandshakeSec: float
    OnConnected: _Event[XAsyncTCPClient]
    OnFailsToConnect: _Event[XAsyncTCPClient]
    OnPeerFinished: _Event[XAsyncTCPClient]
    OnLineTooLong: _Event[XAsyncTCPClient]
    IsSSL: bool
    CloseError: Exception | None
    SrvAddr: _Address
    @property
    def CliAddr(self) -> _Address: ...
    @property
    def SendingBuffer(self) -> memoryview: ...
    @staticmethod
    def Create(
        asyncSocketsPool: _Pool,
        srvAddr: _Address,
        connectTimeout: float | None = 5,
        recvbufLen: int = 4096,
        connectAsync: bool = True,
        recvBufLen: int | None = None,
        sendBufLen: int = 4096,
    ) -> XAsyncTCPClient | None: ...
    def __init__(
        self,
        asyncSocketsPool: _Pool,
        cliSocket: _Socket,
        srvAddr: _Address,
        cliAddr: _Address | None,
        recvBufSlot: XBufferSlot,
        sendBufSlot: XBufferSlot | None = None,
    ) -> None: ...
    def AsyncRecvData(
        self,
        size: int | None = None,
        onDataRecv: Callable[[XAsyncTCPClient, memoryview, _T], object] | None = None,
        onDataRecvArg: _T = ...,
        timeoutSec: float | None = None,
    ) -> bool: ...
    def AsyncRecvLine(
        self,
        onDataRecv: Callable[[XAsyncTCPClient, str, _T], object] | str | None = None,
        onDataRecvArg: _T = ...,
        timeoutSec: float | None = None,
        lineEncoding: str = 'UTF-8',
        onLineRecv: Callable[[XAsyncTCPClient, str, _T], object] | None = None,
        onLineRecvArg: _T = ...,
    ) -> bool: ...
    def AsyncSendData(
        self,
        data: Buffer,
        onDataSent: Callable[[XAsyncTCPClient, _T], object] | None = None,
        onDataSentArg: _T = ...,
    ) -> bool: ...
    def AsyncSendSendingBuffer(
        self,
        size: int | None = None,
        onDataSent: Callable[[XAsyncTCPClient, _T], object] | None = None,
        onDataSentArg: _T = ...,
    ) -> bool: ...
    @staticmethod
    def CreateSSLContext(
        keyfile: str | None = None,
        certfile: str | None = None,
        server_side: bool = False,
        cert_reqs: int = 0,
        ca_certs: str | None = None,
        check_hostname: bool = True,
    ) -> ssl.SSLContext: ...
    def StartSSL(
        self,
        keyfile: str | None = None,
        certfile: str | None = None,
        server_side: bool = False,
        cert_reqs: int = 0,
        ca_certs: str | None = None,
    ) -> bool: ...
    def StartSSLContext(
        self, sslContext: ssl.SSLContext, serverSide: bool = False, serverName: str | None = None
    ) -> bool: ...

class XAsyncUDPDatagram(XAsyncSocket):
    SendQueueLimit: int
    OnRecv: Callable[[XAsyncUDPDatagram, _Address, memoryview], object] | None
    OnFailsToSend: Callable[[XAsyncUDPDatagram, bytes, _Address], object] | None
    DroppedCount: int
    LocalAddr: _Address
    @staticmethod
    def Create(
        asyncSocketsPool: _Pool,
        localAddr: _Address | None = None,
        recvbufLen: int = 4096,
        broadcast: bool = False,
        recvBufLen: int | None = None,
    ) -> XAsyncUDPDatagram: ...
    def __init__(
        self,
        asyncSocketsPool: _Pool,
        udpSocket: _Socket,
        recvBufSlot: XBufferSlot,
        localAddr: _Address | None = None,
        size: int = 4096,
    ) -> None: ...
    @property
    def OnDataRecv(self) -> Callable[[XAsyncUDPDatagram, _Address, memoryview], object] | None: ...
    @OnDataRecv.setter
    def OnDataRecv(self, handler: Callable[[XAsyncUDPDatagram, _Address, memoryview], object] | None) -> None: ...
    def AsyncSendDatagram(
        self,
        datagram: Buffer,
        remoteAddr: _Address,
        onDataSent: Callable[[XAsyncUDPDatagram, _T], object] | None = None,
        onDataSentArg: _T = ...,
    ) -> bool: ...
