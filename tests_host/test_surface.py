"""The public interface: every name of the contract exists and is documented, on both interpreters."""
import inspect
import textwrap
from pathlib import Path

import pytest

import XAsyncSockets as library

MEMBERS = {
    'XAsyncSocketsPool': 'GetAllAsyncSockets GetAsyncSocketByID AsyncWaitEvents StopWaitEvents WaitEventsProcessing '
                         'PollEvents AddAsyncSocket RemoveAsyncSocket NotifyNextReadyForReading '
                         'NotifyNextReadyForWriting CallLater',
    'XClosedReason': 'Error ClosedByHost ClosedByPeer Timeout Name',
    'XTimer': 'Cancel Restart',
    'XAsyncSocket': 'GetAsyncSocketsPool GetSocketObj Close SocketID OnClosed State OnReadyForReading '
                    'OnReadyForWriting OnExceptionalCondition ExpireTimeSec',
    'XAsyncTCPServer': 'Create OnClientAccepted',
    'XAsyncTCPClient': 'Create AsyncRecvLine AsyncRecvData AsyncSendData AsyncSendSendingBuffer StartSSL '
                       'StartSSLContext CreateSSLContext IsSSL OnFailsToConnect OnConnected OnPeerFinished '
                       'OnLineTooLong CloseError SendQueueLimit LingerSec HandshakeSec',
    'XAsyncUDPDatagram': 'Create AsyncSendDatagram OnRecv OnFailsToSend',
    'XBufferSlot': 'Available Size Buffer',
    'XBufferSlots': 'GetAvailableSlot SlotsCount SlotsSize Slots',
    'XFiFo': 'Put Get Clear Empty',
}
NOT_OURS = ('const', 'perf_counter')    # names of MicroPython and CPython, for an interpreter that lacks them
EXCEPTIONS = ('XAsyncSocketsPoolException', 'XAsyncSocketException', 'XAsyncTCPServerException',
              'XAsyncTCPClientException', 'XAsyncUDPDatagramException', 'XFiFoException')
PARAMETERS = {
    'XAsyncSocketsPool.AsyncWaitEvents': 'threadsCount=0',
    'XAsyncSocketsPool.PollEvents': 'timeoutMs=0',
    'XAsyncSocketsPool.CallLater': 'delaySec, handler, arg=None',
    'XTimer.Cancel': '',
    'XTimer.Restart': 'delaySec',
    'XClosedReason.Name': 'reason',
    'XAsyncTCPClient.AsyncRecvLine': 'onDataRecv=None, onDataRecvArg=None, timeoutSec=None',
    'XAsyncTCPServer.Create': 'asyncSocketsPool, srvAddr, srvBacklog=256, recvBufSlots=None',
    'XAsyncTCPClient.Create': 'asyncSocketsPool, srvAddr, connectTimeout=5, recvbufLen=4096, connectAsync=True',
    'XAsyncTCPClient.AsyncRecvData': 'size=None, onDataRecv=None, onDataRecvArg=None, timeoutSec=None',
    'XAsyncTCPClient.AsyncSendData': 'data, onDataSent=None, onDataSentArg=None',
    'XAsyncTCPClient.AsyncSendSendingBuffer': 'size=None, onDataSent=None, onDataSentArg=None',
    'XAsyncTCPClient.StartSSL': 'keyfile=None, certfile=None, server_side=False, cert_reqs=0, ca_certs=None',
    'XAsyncTCPClient.StartSSLContext': 'sslContext, serverSide=False',
    'XAsyncUDPDatagram.Create': 'asyncSocketsPool, localAddr=None, recvbufLen=4096, broadcast=False',
    'XAsyncUDPDatagram.AsyncSendDatagram': 'datagram, remoteAddr, onDataSent=None, onDataSentArg=None',
    'XBufferSlot': 'size, keepAlloc=True',
    'XBufferSlots': 'slotsCount, slotsSize, keepAlloc=True',
    'XFiFo': '',
}


def named(path):
    found = library
    for name in path.split('.'):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize('name', MEMBERS)
def test_the_class_and_its_members_exist(name):
    found = getattr(library, name)
    assert inspect.isclass(found)
    missing = [member for member in MEMBERS[name].split() if not hasattr(found, member)]
    assert not missing


@pytest.mark.parametrize('name', EXCEPTIONS)
def test_the_exception_exists(name):
    assert issubclass(getattr(library, name), Exception)


@pytest.mark.parametrize('path', PARAMETERS)
def test_the_parameters_have_their_positions_and_defaults(path):
    """Further parameters may follow."""
    parameters = [str(parameter) for name, parameter in inspect.signature(named(path)).parameters.items()
                  if name != 'self']
    want = PARAMETERS[path].split(', ') if PARAMETERS[path] else []
    assert parameters[:len(want)] == want


def test_every_public_class_and_function_has_a_docstring():
    without = []
    for name, found in vars(library).items():
        if name in NOT_OURS or name.startswith('_') or getattr(found, '__module__', None) != library.__name__:
            continue
        if not inspect.getdoc(found):
            without.append(name)
        if inspect.isclass(found):
            for member, value in vars(found).items():
                value = getattr(value, '__func__', value)
                if not member.startswith('_') and (inspect.isfunction(value) or isinstance(value, property)) \
                        and not inspect.getdoc(value):
                    without.append('%s.%s' % (name, member))
    assert not without


def test_the_names_exist_under_every_interpreter(interpreter, tmp_path):
    script = tmp_path / 'names.py'
    script.write_text(textwrap.dedent('''
        import XAsyncSockets as library
        for name in %r:
            getattr(library, name)
        print('all there')
    ''') % (list(MEMBERS) + list(EXCEPTIONS),))
    assert interpreter.run(script) == (0, 'all there\n')


def test_an_exception_of_a_handler_is_printed_by_default(interpreter, tmp_path):
    script = tmp_path / 'handler.py'
    script.write_text(textwrap.dedent('''
        from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer

        called = []

        def broken_handler(client):
            called.append(client)
            1 / 0

        pool = XAsyncSocketsPool()
        server = XAsyncTCPServer.Create(pool, ('127.0.0.1', 0))
        server.OnClientAccepted = lambda server, client: None
        client = XAsyncTCPClient.Create(pool, server.SrvAddr)
        client.OnConnected = broken_handler
        while not called:
            pool.PollEvents(100)
        print('lives on')
    '''))
    status, output = interpreter.run(script)
    assert status == 0, output
    assert 'ZeroDivisionError' in output and 'broken_handler' in output
    assert output.endswith('lives on\n')


def test_the_library_needs_no_other_file(interpreter, tmp_path):
    """It is one file that can be copied anywhere and imported alone."""
    (tmp_path / 'XAsyncSockets.py').write_bytes(Path(library.__file__).read_bytes())
    script = tmp_path / 'alone.py'
    script.write_text('import XAsyncSockets\nprint(XAsyncSockets.XFiFo().Empty)\n')
    paths = {'PYTHONPATH': str(tmp_path), 'MICROPYPATH': str(tmp_path)}
    assert interpreter.run(script, environment=paths) == (0, 'True\n')
