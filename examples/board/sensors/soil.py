"""A soil moisture probe for the firmware. Pin 22 powers it while it measures, and the ADC of pin 26 reads it.

Copy this file into the folder sensors on the board. Telemetry then has the field soil_moisture, from 0 to 1.
"""
from machine import ADC, Pin

POWER_PIN = 22
ADC_PIN = 26
SETTLING_MS = 100
DRY, WET = 12000, 52000     # the values of read_u16() in dry soil and in water


class Sensor:
    name = 'soil'

    def __init__(self):
        self.power = Pin(POWER_PIN, Pin.OUT, value=0)
        self.adc = ADC(ADC_PIN)

    def prepare(self):
        self.power.value(1)
        return SETTLING_MS

    def read(self):
        level = self.adc.read_u16()
        self.power.value(0)     # a probe that is always on corrodes
        return {'moisture': min(1, max(0, (level - DRY) / (WET - DRY)))}
