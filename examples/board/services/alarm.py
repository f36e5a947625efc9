"""An alarm for the firmware: it reports over UDP when a reading leaves its range, and when it is back.

Copy this file into the folder services on the board. A computer sees the alarms with `nc -lu 7780`. The control server
then has the method alarm.state.
"""
from XAsyncSockets import XAsyncUDPDatagram

SENSOR, FIELD = 'heap', 'free'
LOWEST, HIGHEST = 10000, 1 << 62
TARGET = ('255.255.255.255', 7780)


class Service:
    tick_s = 5

    def start(self, app):
        self.app = app
        self.udp = None
        self.state = 'unknown'
        app.methods.add('alarm.state', lambda session: self.state, text='whether the reading is in its range')

    def network_up(self, connection):
        self.udp = XAsyncUDPDatagram.Create(self.app.pool, broadcast=True)
        self.state = 'unknown'      # so that the next tick reports it

    def network_down(self, reason):
        self.udp.Close()
        self.udp = None

    def tick(self):
        value = self.app.sensors.read(SENSOR)[FIELD]
        state = 'ok' if LOWEST <= value <= HIGHEST else 'alarm'
        if self.udp is None or state == self.state:
            return
        self.state = state
        self.app.log.info('alarm', f'{state}: {value}')
        self.udp.AsyncSendDatagram(f'{self.app.device} {SENSOR}.{FIELD} {state} {value}\n'.encode(), TARGET)
