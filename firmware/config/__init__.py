"""The configuration: the frozen defaults, overridden by config.json on the board's filesystem.

The file holds only the settings that differ. A bad file is not used. The last good copy is used instead, or else the
defaults, and `faults` lists what was wrong. A new file is written beside the old one and then renamed over it, so a
complete file always exists.
"""

from firmware import Lean, borrow


class ConfigError(ValueError):
    """A wrong configuration. Each of its `args` describes one fault."""

    def __str__(self):
        return "; ".join(self.args)


class Config(Lean):
    """The settings: `config["telemetry"]["port"]`."""

    SELDOM = "firmware.config.edit firmware.jsontext"
    source = "defaults"
    unsaved = False
    safe = False  # True: settings that may lock the owner out have their defaults
    _values = None  # filled when first needed

    def __init__(self, board, log):
        self.board = board
        self.log = log
        self.given = {}  # only the values that differ from the defaults
        self.faults = []

    def __getitem__(self, section):
        if self._values is None:
            self.use({}, "defaults")
        return self._values[section]  # type: ignore[index]

    def use(self, given, source, check=None):
        """Use these values from the file `source`. Raises ConfigError, and whatever check(values) raises."""
        defaults = borrow("firmware.config.defaults", "firmware.config.schema")
        values = defaults.fill(given)
        if check:
            check(values)
        self._values = defaults.safe(values) if self.safe else values
        self.given = given
        self.source = source
