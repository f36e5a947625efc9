"""The configuration: config.json on the board's filesystem over the frozen defaults.

Only what differs from the defaults is in the file. A file that is bad in any way is not used: the last good copy
is, then the defaults, and `faults` tells what was wrong. Files are replaced whole: a new one is written beside
the old one and renamed over it.
"""

from firmware import borrow


class ConfigError(ValueError):
    """What a configuration cannot have; its `args` are the faults, a text each."""

    def __str__(self):
        return "; ".join(self.args)


def _defaults():
    """The module that describes every key: for what is stored or shown, and gone again afterwards."""
    return borrow("firmware.defaults", "firmware.schema")


class Config:
    """What is configured: `config["telemetry"]["port"]`."""

    def __init__(self, board, log):
        self._board = board
        self._log = log
        self._given = {}  # what differs from the defaults
        self._values = None  # filled when first needed
        self.source = "defaults"
        self.faults = []
        self.unsaved = False
        self.safe = False  # what may lock out has its default

    def __getitem__(self, section):
        return self._values_now()[section]

    def load(self):
        """Take the file, or if it is bad the last good copy; never raises."""
        borrow("firmware.config_file").load(self, self._board, self._log)

    def use(self, given, source, check=None):
        """Take these values, which come from the file `source`. Raises ConfigError, or what check(values) raises."""
        defaults = _defaults()
        values = defaults.fill(given)
        if check:
            check(values)
        self._values = defaults.safe(values) if self.safe else values
        self._given = given
        self.source = source

    def _values_now(self):
        if self._values is None:
            self.use({}, "defaults")
        return self._values

    def get(self, key=""):
        """The value of "section.key" (all of them for ""), its secrets hidden. Raises ConfigError."""
        schema = _defaults().SCHEMA
        return self._find(schema.show(schema.fill(self._given)), key)

    def _find(self, value, key):
        for part in key.split(".") if key else ():
            try:
                value = value[int(part) if isinstance(value, list) else part]
            except (KeyError, ValueError, IndexError, TypeError):
                raise ConfigError(f"{key[:40]}: there is no such key") from None
        return value

    def set(self, key, value, check=None):
        """Change "section.key" in memory. Raises ConfigError and changes nothing if it cannot be so, or what
        check(new values) raises."""
        self._change(borrow("firmware.edit").changed(self._given, key, value), check)

    def reset(self, key="", check=None):
        """Back to the default of "section" or "section.key", or of all, in memory. Raises as `set` does."""
        if key:
            self.get(key)
        self._change(borrow("firmware.edit").without(self._given, key) if key else {}, check)

    def _change(self, given, check):
        self.use(given, self.source, check)
        self.unsaved = True

    def save(self):
        """Write what is configured to the board's filesystem. True where it is on trial from the next boot on. Raises
        OSError, and ConfigError for what would lock out."""
        module = borrow("firmware.lockout", "firmware.update.trial", "firmware.config_file")
        on_trial = module.save(self, self._given, self._board, self._log)
        self.faults = []
        self.unsaved = False
        return on_trial
